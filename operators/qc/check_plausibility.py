"""CheckPlausibility: say where a segmentation does not look like what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements
from operators.core.quality import QualityFinding, QualityReport
from operators.core.quality_limits import QualityLimits, SegmentLimits
from operators.qc.judging import Sentence, judge
from operators.qc.segment_quantities import (
    border_slices,
    components,
    enclosed_share,
    inscribed_mm,
    narrowest_mm,
    outline_aspect,
    right_left,
    sample,
)
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.core.label_map import Segment
    from operators.core.quality_limits import Range
    from operators.qc.segment_quantities import Samples

Values = dict[str, float | None]
LOOK = "Look at the mask before you use the numbers."
SPACING = "if the spacing in the headers is wrong, so are all areas and volumes. Check it against the scanner."
SENTENCES: dict[str, Sentence] = {
    "volume_ml": Sentence("The volume", "mL", f"it may be cut off, leak, or be another structure. {LOOK}"),
    "share": Sentence("The volume over that of {share_of}", "", f"it may leak, or be another structure. {LOOK}"),
    "mean_hu": Sentence("The mean", "HU", f"the mask may hold another tissue, or HU are not calibrated. {LOOK}"),
    "components": Sentence("The number of separate pieces", "", f"parts may be missing or foreign. {LOOK}"),
    "right_left": Sentence("The volume on the right over that on the left", "", f"one side may have failed. {LOOK}"),
    "inscribed_mm": Sentence("The radius of the largest disc near the middle", "mm", SPACING),
    "narrowest_mm": Sentence("The radius where it is thinnest", "mm", SPACING),
    "outline_aspect": Sentence("The width of its outline over its depth", "", SPACING),
    "enclosed_share": Sentence(
        "The share of it in pieces within {enclosed_by}",
        "",
        f"contrast medium in bowel or vessels, or stones, may count as it. {LOOK}",
    ),
    "border_slices": Sentence(
        "The number of slices that meet the border of the image",
        "",
        "what lies outside of the image is in no number. Use a reconstruction with a larger field of view.",
    ),
}
"""By name of the limit in SegmentLimits."""
UNKNOWN = "Not checked: whether {} looks as it should; the model does not segment it."


class CheckPlausibility(Step):
    """Hold volumes, shares, means, pieces, sides, sizes and borders of segments against the app's limits.

    Named Input:
        label_map: LabelMap.
        measurements: tuple of SegmentMeasurements of it.

    Named Output:
        plausibility_quality: QualityReport; a hold where the limits of the manifest say that a value is not possible.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map", "measurements")
    output: ClassVar[str] = "plausibility_quality"

    def process(self, label_map: LabelMap, measurements: tuple[SegmentMeasurements, ...]) -> QualityReport:
        """Measure and judge."""
        limits: QualityLimits = self.parameters
        return check_plausibility(label_map, measurements, limits.segments)


def check_plausibility(
    label_map: LabelMap, measurements: tuple[SegmentMeasurements, ...], limits: Mapping[str, SegmentLimits]
) -> QualityReport:
    """Judge segments by limits; one that was not found is judged by its volume alone.

    What makes a segment exploratory is said of every result, as something that was not checked.
    A model folder may know fewer segments than the app's own method: those are not checked.

    Args:
        label_map: The segments.
        measurements: Their volumes and means.
        limits: By name of the segment.

    Returns:
        One finding for each value outside of its range.
    """
    known = {segment.name for segment in label_map.segments}
    unchecked = tuple(UNKNOWN.format(name) for name in limits if name not in known)
    limits = {name: of_segment for name, of_segment in limits.items() if name in known}
    if not limits:
        return QualityReport((), unchecked)
    numbers = {m.segment_name: {v.quantity.name: v.value for v in m.values} for m in measurements}
    samples = sample(label_map)
    findings = []
    for name, of_segment in limits.items():
        segment = label_map.segment(name)
        values = _stated(numbers, name, of_segment) | _looked_at(label_map, samples, segment, of_segment)
        findings += [_judged(label_map, segment, limit, value, of_segment) for limit, value in values.items()]
    exploratory = tuple(of_segment.exploratory for of_segment in limits.values() if of_segment.exploratory)
    return QualityReport(tuple(finding for finding in findings if finding is not None), (*unchecked, *exploratory))


def _judged(
    label_map: LabelMap, segment: Segment, limit: str, value: float | None, limits: SegmentLimits
) -> QualityFinding | None:
    allowed: Range | None = getattr(limits, limit)
    if value is None or allowed is None:
        return None
    sentence = SENTENCES[limit]
    labels = {one.name: one.label for one in label_map.segments}
    told = sentence.what.format(
        share_of=labels.get(limits.share_of or ""), enclosed_by=labels.get(limits.enclosed_by or "")
    )
    what = f"{segment.label}: {told[0].lower()}{told[1:]}"
    return judge(f"{segment.name}_{limit}", value, allowed, Sentence(what, sentence.unit, sentence.meaning))


def _stated(numbers: Mapping[str, Mapping[str, float]], name: str, limits: SegmentLimits) -> Values:
    """What was measured already."""
    own, whole = numbers[name], numbers.get(limits.share_of or "", {})
    share = own["volume_ml"] / whole["volume_ml"] if whole.get("volume_ml") else None
    return {"volume_ml": own["volume_ml"], "mean_hu": own.get("mean_hu"), "share": share}


def _looked_at(label_map: LabelMap, samples: Samples, segment: Segment, limits: SegmentLimits) -> Values:
    """What has to be looked at, as far as there are limits for it."""
    return {
        "components": components(samples, segment) if limits.components else None,
        "right_left": right_left(samples, segment) if limits.right_left else None,
        "inscribed_mm": inscribed_mm(samples, segment) if limits.inscribed_mm else None,
        "narrowest_mm": narrowest_mm(samples, segment) if limits.narrowest_mm else None,
        "outline_aspect": outline_aspect(samples, segment) if limits.outline_aspect else None,
        "enclosed_share": _enclosed_share(label_map, samples, segment, limits),
        "border_slices": border_slices(label_map, segment) if limits.border_slices else None,
    }


def _enclosed_share(label_map: LabelMap, samples: Samples, segment: Segment, limits: SegmentLimits) -> float | None:
    """None, too, where the model does not segment what would enclose it."""
    around = next((one for one in label_map.segments if one.name == limits.enclosed_by), None)
    return None if around is None else enclosed_share(samples, segment, around)
