"""SR groups: the measurement groups of a TID 1500 report, one function a kind (PS3.16 TID 1411, 1410, 1501)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation

from operators.core import codes, defaults
from operators.core.kinds import Kind, kind_of
from operators.core.measurements import LARGEST_AREA
from operators.core.mosaic import is_mosaic
from operators.core.quality import Verdict
from operators.write.contours import CENTRE, closed, outlines
from operators.write.write_segmentation import found_segments, tracking_id, tracking_uid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import Algorithm, LabelMap, Segment
    from operators.core.measurements import DerivedValue, KeySlice, Measurement, SegmentMeasurements
    from operators.core.quality import QualityReport
    from operators.core.volume import SourceSlice, Volume

Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)
VERDICT_CODES = {Verdict.PASS: codes.QUALITY_PASS, Verdict.CAUTION: codes.QUALITY_CAUTION}
MOST_POINTS = 8191
"""Points of a polyline: the length of an FL element has 16 bits in Explicit VR (PS3.5 7.1.2)."""
OUTLINE_TEXT = "The outline is the segment in this slice; area and attenuation are those of its pixels in this slice."
POINTER_TEXT = (
    "The line only points to the segment, which one outline cannot draw in this slice; area and attenuation are those "
    "of all its pixels in this slice."
)
VOLUME_TEXT = "The volume is that of the whole segment in the scan."


@dataclass(frozen=True)
class Context:
    """What every group of one report needs.

    Attributes:
        algorithm: The algorithm, for TID 4019.
        identity: Tracking UIDs derive from it.
    """

    algorithm: Algorithm
    identity: ResultIdentity

    @property
    def algorithm_id(self) -> sr.AlgorithmIdentification:
        """TID 4019."""
        return sr.AlgorithmIdentification(
            name=self.algorithm.name,
            version=self.algorithm.version,
            family=self.algorithm.family,
            manufacturer=defaults.MANUFACTURER,
            parameters=[f"model digest {self.algorithm.digest}"],
        )

    def tracking(self, name: str) -> sr.TrackingIdentifier:
        """Tracking of what is no segment; viewers merge groups that share a Tracking UID (OHIF 3.13)."""
        return sr.TrackingIdentifier(
            uid=self.identity.uid(f"tracking/{name}"), identifier=f"{self.identity.app}/{name}"
        )

    def tracking_of(self, segment: Segment) -> sr.TrackingIdentifier:
        """Tracking of a segment, as in the SEG."""
        return sr.TrackingIdentifier(
            uid=tracking_uid(segment, self.identity), identifier=tracking_id(segment, self.identity)
        )


def volumetric_groups(
    label_map: LabelMap,
    seg: Dataset,
    measurements: Sequence[SegmentMeasurements],
    source_series_uid: str,
    context: Context,
) -> Iterator[sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """One TID 1411 group for each segment that is in the SEG."""
    by_name = {measured.segment_name: measured for measured in measurements}
    for number, segment in enumerate(found_segments(label_map), start=1):
        yield sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking_of(segment),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=number,
                source_series=sr.SourceSeriesForSegmentation(source_series_uid),
            ),
            finding_category=segment.category,
            finding_type=segment.type,
            finding_sites=finding_sites(segment),
            algorithm_id=context.algorithm_id,
            measurements=[_measurement(m) for m in by_name[segment.name].values],
        )


def planar_groups(
    volume: Volume,
    label_map: LabelMap,
    measurements: Sequence[SegmentMeasurements],
    key_slices: Sequence[KeySlice],
    context: Context,
) -> Iterator[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    """One TID 1410 group for each key slice: viewers that draw no SEG in an SR draw these.

    A tile of a mosaic has no image coordinates of its own, so that nothing is drawn on it.
    """
    volumes = {m.segment_name: v for m in measurements for v in m.values if v.quantity.concept == codes.VOLUME}
    for row in key_slices:
        source = volume.slices[row.index]
        if is_mosaic(source.header):
            continue
        segment = label_map.segment(row.segment_name)
        mask = np.isin(label_map.array[row.index], segment.labels)
        whole = volumes.get(row.segment_name) if row.role == LARGEST_AREA else None
        yield _planar_group(row, segment, mask, source, whole, context)


def _planar_group(
    row: KeySlice,
    segment: Segment,
    mask: NDArray[np.bool_],
    source: SourceSlice,
    whole: Measurement | None,
    context: Context,
) -> sr.PlanarROIMeasurementsAndQualitativeEvaluations:
    """A segment drawn in one slice, with the volume of the whole segment where that is given."""
    polyline, text = polyline_of(mask)
    group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(f"{segment.name}/{row.role}"),
        referenced_region=sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, polyline, _source_image(source)),
        finding_category=segment.category,
        finding_type=segment.type,
        finding_sites=finding_sites(segment),
        algorithm_id=context.algorithm_id,
        measurements=[_measurement(m) for m in (*row.values, whole) if m],
    )
    _add_text(group, codes.COMMENT, f"{text} {VOLUME_TEXT}" if whole else text)
    return group


def polyline_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], str]:
    """How a segment is drawn in a slice: its outline where one outline is the segment, else a line that points to it.

    Viewers compute the area of a closed polyline themselves: that of a ring or of fragments would not be the segment's.

    Args:
        mask: `(rows, columns)`, not empty.

    Returns:
        `(points, 2)` image coordinates (column, row), and a sentence that says what is drawn.
    """
    first, *others = outlines(mask)
    if others or first.holes or len(first.outer) >= MOST_POINTS:
        return pointer_line(mask), POINTER_TEXT
    return closed(first.outer), OUTLINE_TEXT


def pointer_line(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The longest run of a mask's pixels along a row, the first of equals, from edge to edge.

    Args:
        mask: `(rows, columns)`, not empty.

    Returns:
        `(2, 2)` image coordinates (column, row).

    Examples:
        >>> pointer_line(np.array([[True, False, False], [False, True, True]])).tolist()
        [[1.0, 1.5], [3.0, 1.5]]
    """
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    longest = int((ends - starts)[:, 1].argmax())
    row = starts[longest, 0] + CENTRE
    return np.array([[starts[longest, 1], row], [ends[longest, 1], row]], dtype=np.float64)


def derived_group(value: DerivedValue, context: Context) -> sr.MeasurementsAndQualitativeEvaluations:
    """A TID 1501 group with a derived value and its equation, or with the reason why there is no value.

    Where there is no value a code says so, not a NUM without Measured Value: OHIF 3.13 looks for the unit in there.
    """
    quantity = value.quantity
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(f"derived/{quantity.name}"),
        algorithm_id=context.algorithm_id,
        measurements=None if value.value is None else [_derived_measurement(value, value.value)],
        qualitative_evaluations=[sr.QualitativeEvaluation(quantity.concept, codes.MEASUREMENT_NOT_ATTEMPTED)]
        if value.value is None
        else None,
    )
    _add_text(group, codes.COMMENT, f"{value.label}: {value.definition}.")
    if value.reason:
        _add_text(group, codes.COMMENT, f"{value.label}: not computed, because {value.reason}.")
    return group


def absent_group(segment: Segment, context: Context) -> sr.MeasurementsAndQualitativeEvaluations:
    """A TID 1501 group for a segment that was looked for and not found; SEG has none of it."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking_of(segment),
        finding_category=segment.category,
        finding_type=segment.type,
        finding_sites=finding_sites(segment),
        algorithm_id=context.algorithm_id,
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.PRESENCE_OF_PROPERTY, codes.ABSENT)],
    )
    _add_text(group, codes.COMMENT, f"{segment.label}: not found by the algorithm in the images measured.")
    return group


def remarks_group(
    quality: QualityReport, comments: Sequence[str], context: Context
) -> sr.MeasurementsAndQualitativeEvaluations:
    """A TID 1501 group with what a reader has to know: verdict and findings on quality, and comments."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking("remarks"),
        finding_type=codes.IMAGE_QUALITY_ANALYSIS,
        algorithm_id=context.algorithm_id,
        qualitative_evaluations=[sr.QualitativeEvaluation(codes.QUALITY_ASSESSMENT, VERDICT_CODES[quality.verdict])],
    )
    for finding in quality.findings:
        _add_text(group, codes.QUALITY_FINDING, finding.message)
    for comment in comments:
        _add_text(group, codes.COMMENT, comment)
    return group


def finding_sites(segment: Segment) -> list[sr.FindingSite] | None:
    """Where a segment lies: its region, or its type where only that has a laterality (PS3.16 TID 1410, 1411)."""
    if segment.region is None and segment.modifier is None:
        return None
    return [sr.FindingSite(segment.region or segment.type, laterality=segment.modifier)]


def _measurement(measurement: Measurement) -> sr.Measurement:
    """TID 300."""
    quantity = measurement.quantity
    return sr.Measurement(
        name=quantity.concept, value=measurement.value, unit=quantity.ucum, derivation=quantity.derivation
    )


def _derived_measurement(derived: DerivedValue, value: float) -> sr.Measurement:
    """TID 300 with its equation (TID 315)."""
    quantity = derived.quantity
    measurement = sr.Measurement(name=quantity.concept, value=value, unit=quantity.ucum, derivation=quantity.derivation)
    equation = sr.TextContentItem(codes.EQUATION, derived.definition, Relation.INFERRED_FROM)
    number = measurement[0]
    number.ContentSequence = sr.ContentSequence([*number.get("ContentSequence", []), equation])
    return measurement


def _source_image(source: SourceSlice) -> sr.SourceImageForRegion:
    """The image, and its frame where it has several (PS3.3 10.3)."""
    header = source.header
    # A frame with functional groups of its own has a header that stands for it alone (operators/core/frames.py).
    several = kind_of(header) is Kind.FRAMES or int(header.get("NumberOfFrames") or 1) > 1
    frames = [source.frame_number] if several else None
    return sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID, frames)


def _add_text(group: Group, name: Code, value: str) -> None:
    """Add a text; the templates may be extended by them."""
    group[0].ContentSequence.append(sr.TextContentItem(name, value, Relation.CONTAINS))
