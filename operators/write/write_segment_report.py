"""WriteSegmentReport: measurements of segments that somebody else made as Comprehensive 3D SR, TID 1500 (PS3.16).

docs/conformance/segment-report.md lists its groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from highdicom import sr
from pydicom import Dataset

from operators.core import codes
from operators.core.border_contact import field_contacts
from operators.core.identity import ResultIdentity
from operators.core.measurements import DerivedValue, Measurement, SegmentMeasurements
from operators.core.mosaic import is_mosaic
from operators.core.quality import QualityReport
from operators.core.segmented_regions import CONTOURS, SAME_LATTICE, SegmentedRegions
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.measure.intensities import grid_of, scale_of
from operators.measure.measure_diameters import LONG_AXIS, SHORT_AXIS, Diameters
from operators.runtime.step import Step
from operators.write.contours import CENTRE
from operators.write.marking import no_names_in_warnings, save
from operators.write.sr_document import header_items, measurement_items, selection_comments, sr_document
from operators.write.sr_evaluations import empty_item, evaluations, verdict_items
from operators.write.sr_groups import Context, add_text, finding_sites, locate, measurement_item
from operators.write.sr_places import line_between, location_of
from operators.write.write_measurement_report import FILE_NAME, ReportParameters
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operators.core.segmented_regions import Region
    from operators.measure.measure_diameters import Axis
    from operators.write.sr_groups import Group

UNCALIBRATED_TEXT = "No attenuation was measured: the images say that their values are no Hounsfield units."
MADE = {
    "AUTOMATIC": "segmented automatically",
    "SEMIAUTOMATIC": "segmented semi-automatically",
    "MANUAL": "segmented by hand",
    "": "nothing says whether it was drawn or computed",
}


class SegmentReference(NamedTuple):
    """A segment of a SEG in the archive, or of the one that was written beside the report.

    Attributes:
        seg: The SEG.
        number: Segment Number (0062,0004) in it.
    """

    seg: Dataset
    number: int


class Measured(NamedTuple):
    """One region with all that is said of it."""

    region: Region
    numbers: SegmentMeasurements
    diameters: Diameters
    place: DerivedValue
    reference: SegmentReference | None


class WriteSegmentReport(Step):
    """Write the measurements of segments as one Comprehensive 3D SR in the source's study.

    One TID 1411 group a segment, which references the segment where it came from, with the Tracking UID, codes and
    site that it has there, and whether it reaches the border of the field of view; one TID 1501 group with long and
    short axis as lines on the image, as viewers draw bidimensional measurements. Segments without a voxel and all that
    is no number stand in Qualitative Evaluations.

    Named Input:
        volume: Volume, the source.
        label_map: SegmentedRegions.
        seg: WrittenFile with the SEG of regions that came as contours, or None.
        measurements: tuple of SegmentMeasurements, one a segment.
        diameters: tuple of Diameters, one a segment.
        derived: tuple of DerivedValue, the side of the body that each segment lies on.
        quality: QualityReport.
        selection: Selection.
        identity: ResultIdentity.

    Named Output:
        sr: WrittenFile with Comprehensive 3D SR Storage 1.2.840.10008.5.1.4.1.1.88.34.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "seg", "measurements", "diameters", "derived", "quality", "selection", "identity",
    )  # fmt: skip
    output: ClassVar[str] = "sr"
    share: ClassVar[float] = 2.0

    def process(
        self,
        volume: Volume,
        label_map: SegmentedRegions,
        seg: WrittenFile | None,
        measurements: tuple[SegmentMeasurements, ...],
        diameters: tuple[Diameters, ...],
        derived: tuple[DerivedValue, ...],
        quality: QualityReport,
        selection: Selection,
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Build and save."""
        parameters: ReportParameters = self.parameters
        references = references_of(label_map, seg.dataset if seg else None)
        measured = [
            Measured(*each)
            for each in zip(label_map.regions, measurements, diameters, derived, references, strict=True)
        ]
        uncalibrated = () if scale_of(volume) else (UNCALIBRATED_TEXT,)
        remarks = Remarks(quality, selection_comments(selection) + uncalibrated)
        dataset = build_segment_report(volume, label_map, measured, remarks, identity, parameters.predecessor)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset, withholds=quality.is_held)


class Remarks(NamedTuple):
    """What a report says besides numbers."""

    quality: QualityReport
    comments: tuple[str, ...]


def references_of(regions: SegmentedRegions, contoured_seg: Dataset | None) -> list[SegmentReference | None]:
    """Which segment of which SEG each region is.

    Args:
        regions: The regions.
        contoured_seg: The SEG that was written of those that came as contours.

    Returns:
        One a region, in their order; None for an empty one that no SEG has.
    """
    references: list[SegmentReference | None] = []
    written = 0
    for one in regions.objects:
        for region in one.regions:
            if one.kind != CONTOURS:
                references.append(SegmentReference(one.source.header, region.number))
            elif contoured_seg is None or not region.voxels:
                references.append(None)
            else:
                written += 1
                references.append(SegmentReference(contoured_seg, written))
    return references


@no_names_in_warnings()
def build_segment_report(
    volume: Volume,
    regions: SegmentedRegions,
    measured: list[Measured],
    remarks: Remarks,
    identity: ResultIdentity,
    predecessor: str | None = None,
) -> sr.Comprehensive3DSR:
    """A TID 1500 report of measurements of segments.

    Args:
        volume: The source.
        regions: The segments.
        measured: What was measured of each.
        remarks: What else there is to say.
        identity: UIDs and clock derive from it.
        predecessor: Identity of the result whose report is superseded.

    Returns:
        The data set; where the numbers are held back it refers to no segment, and says why.
    """
    context = Context(regions.algorithm, identity)
    content = header_items(volume, regions.algorithm)
    if remarks.quality.is_held:
        content.append(evaluations(verdict_items(remarks.quality, remarks.comments), context.algorithm_id))
        return sr_document(volume, [], regions.algorithm, identity, content, predecessor)
    content.extend(measurement_items(_groups(volume, measured, context)))
    empty = (empty_item(one.region) for one in measured if not one.region.voxels)
    content.append(evaluations([*verdict_items(remarks.quality, remarks.comments), *empty], context.algorithm_id))
    segs = {str(one.reference.seg.SOPInstanceUID): one.reference.seg for one in measured if one.reference}
    segs |= {str(one.source.header.SOPInstanceUID): one.source.header for one in regions.objects}
    return sr_document(
        volume, list(segs.values()), regions.algorithm, identity, content, predecessor, _schemes(regions)
    )


def _schemes(regions: SegmentedRegions) -> list[Dataset]:
    """What the objects say of coding schemes that are not the standard's, each once (PS3.3 C.12.1)."""
    found = {
        str(item.get("CodingSchemeDesignator", "")): item
        for one in regions.objects
        for item in one.source.header.get("CodingSchemeIdentificationSequence") or []
    }
    return [item for designator, item in found.items() if designator and designator != codes.PRIVATE_SCHEME]


def _groups(volume: Volume, measured: list[Measured], context: Context) -> Iterator[Group]:
    found = [one for one in measured if one.region.voxels]
    for one in found:
        yield _volumetric_group(volume, one, context)
    for one in found:
        if lines := _lines(volume, one):
            yield _bidimensional_group(one, lines, context)


def _volumetric_group(volume: Volume, one: Measured, context: Context) -> Group:
    """TID 1411 of a segment."""
    region, segment, reference = one.region, one.region.segment, one.reference
    assert reference is not None  # it has voxels
    sides = field_contacts(region, volume)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking_of(segment),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=reference.seg.SOPClassUID,
            sop_instance_uid=reference.seg.SOPInstanceUID,
            segment_number=reference.number,
            source_series=sr.SourceSeriesForSegmentation(str(volume.slices[0].header.SeriesInstanceUID)),
        ),
        finding_category=segment.category,
        finding_type=segment.type,
        finding_sites=finding_sites(segment),
        algorithm_id=context.algorithm_id,
        measurements=[measurement_item(value) for value in one.numbers.values],
        qualitative_evaluations=[
            sr.QualitativeEvaluation(codes.BORDER_CONTACT, codes.PRESENT if sides else codes.ABSENT)
        ],
    )
    _point_to(group, volume, one)
    add_text(group, codes.COMMENT, _comment(one, sides))
    return group


def _comment(one: Measured, sides: tuple[str, ...]) -> str:
    """Label, origin, and what a reader has to know of the mask."""
    region, segment = one.region, one.region.segment
    assert segment.origin is not None  # it was read
    reaches = f" It reaches the border of the field of view: {', '.join(sides)}." if sides else ""
    remark = f" {region.remark}" if region.remark else ""
    place = f" {one.place.label}{f', because {one.place.reason}' if one.place.reason else ''}."
    return f"{segment.label}: {MADE[segment.origin.algorithm_type]}.{remark}{reaches}{place}"


def _point_to(group: Group, volume: Volume, one: Measured) -> None:
    """Say where the segment is: a point in the image in which it is largest (decision 0014)."""
    box = one.region.on(grid_of(volume))
    if box.mask.any():
        index = box.corner[0] + int(box.mask.sum(axis=(1, 2)).argmax())
        rows, columns = volume.array.shape[1:]
        locate(group, location_of(box.plane(index, (rows, columns)), volume.slices[index]))


def _lines(volume: Volume, one: Measured) -> list[tuple[Measurement, sr.CoordinatesForMeasurement]]:
    """Long and short axis with their lines, where the slice that they lie in is one of the images."""
    if one.diameters.long_axis is None or one.diameters.short_axis is None:
        return []
    axes = ((LONG_AXIS, one.diameters.long_axis), (SHORT_AXIS, one.diameters.short_axis))
    lengths = {value.quantity.name: value for value in one.numbers.values}
    lines = []
    for quantity, axis in axes:
        place = _on_image(volume, one, axis)
        if place is None:
            return []
        lines.append((lengths[quantity.name], place))
    return lines


def _on_image(volume: Volume, one: Measured, axis: Axis) -> sr.CoordinatesForMeasurement | None:
    """An axis as a line on the image that it lies on; None where it lies on none."""
    to_images = one.region.grid.in_voxels_of(grid_of(volume))
    ends = np.array([(one.diameters.slice_index, *end, 1.0) for end in (axis.first, axis.second)]) @ to_images.T
    index = int(np.round(ends[0, 0]))
    points = ends[:, [2, 1]] + CENTRE
    rows, columns = volume.array.shape[1:]
    inside = (points >= 0).all() and (points <= (columns, rows)).all() and 0 <= index < len(volume.slices)
    if np.abs(ends[:, 0] - index).max() > SAME_LATTICE or not inside or is_mosaic(volume.slices[index].header):
        return None
    return line_between(points, volume.slices[index])


def _bidimensional_group(
    one: Measured, lines: list[tuple[Measurement, sr.CoordinatesForMeasurement]], context: Context
) -> Group:
    """TID 1501 with two lines: viewers draw those of numbers where a group has no region of its own."""
    segment = one.region.segment
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=context.tracking(f"{segment.name}/diameters"),
        finding_category=segment.category,
        finding_type=segment.type,
        finding_sites=finding_sites(segment),
        algorithm_id=context.algorithm_id,
        measurements=[measurement_item(value, [place]) for value, place in lines],
    )
    add_text(group, codes.COMMENT, f"{segment.label}: longest diameter in a slice, and the longest one across it.")
    return group
