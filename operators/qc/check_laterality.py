"""CheckLaterality: say where a segment lies on the other side of the body than it was said to be of."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core import codes
from operators.core.measurements import DerivedValue
from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.core.segmented_regions import SegmentedRegions
from operators.runtime.step import Step

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment

SIDES = {"7771000": codes.LEFT, "G-A101": codes.LEFT, "24028007": codes.RIGHT, "G-A100": codes.RIGHT}
"""Left and right of SNOMED CT (PS3.16 CID 244), and what they were called before 2020."""
SEVERAL = 2
"""So many segments on the wrong side and none on the right one are a mirrored mask, not a wrong name."""


class CheckLaterality(Step):
    """Hold the side that each segment was said to be of against the side on which it lies.

    One that lies on the other side asks for caution: its name is wrong, or organs lie elsewhere (a transplant, situs
    inversus). Several of them and none on its own side are a mask that is mirrored against the images, or images that
    are: the numbers may be of other tissue, and all are held back.

    Named Input:
        label_map: SegmentedRegions, whose segments have the stated side.
        derived: tuple of DerivedValue of `MeasureLaterality`, one a segment.

    Named Output:
        laterality_quality: QualityReport; a finding for each segment that lies on the other side.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map", "derived")
    output: ClassVar[str] = "laterality_quality"

    def process(self, label_map: SegmentedRegions, derived: tuple[DerivedValue, ...]) -> QualityReport:
        """Compare."""
        return check_laterality(label_map, derived)


def check_laterality(regions: SegmentedRegions, derived: tuple[DerivedValue, ...]) -> QualityReport:
    """One finding for each contradiction."""
    sides = {name: each.side for each in derived for name in each.segment_names}
    compared = [
        (segment, stated, computed)
        for segment in regions.segments
        if (stated := _stated(segment)) and (computed := sides[segment.name])
    ]
    wrong = [each for each in compared if each[1] != each[2]]
    severity = Severity.HOLD if SEVERAL <= len(wrong) == len(compared) else Severity.CAUTION
    return QualityReport(tuple(QualityFinding("contradicts_laterality", _sentence(*each), severity) for each in wrong))


def _stated(segment: Segment) -> Code | None:
    """Left or right as it came with the segment; None where neither did."""
    return SIDES.get(segment.modifier.value) if segment.modifier else None


def _sentence(segment: Segment, stated: Code, computed: Code) -> str:
    return (
        f"{segment.label}: the segmentation says that it is of the {stated.meaning.lower()} side, and it lies "
        f"{computed.meaning.lower()} of the body's middle; mask or images may be mirrored, or the name is wrong: look "
        "at it before you use its numbers."
    )
