"""WriteSegmentation: a label map as DICOM SEG, BINARY, LABELMAP or FRACTIONAL (PS3.3 A.51, A.95).

highdicom makes a skeleton of one slice with one pixel: all attributes that frames share, and the functional groups of
one frame. Slices and frames are written into it and behind it here, because as objects in memory they cost most of the
time: seg_planes.py, seg_items.py, seg_frames.py, seg_file.py. The file is the one that highdicom alone would write.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import highdicom as hd
import numpy as np
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from operators.core import defaults
from operators.core.contract import ObjectKind
from operators.core.errors import SegmentationError
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap, require_grid_of_headers, require_same_grid
from operators.core.probability_map import ProbabilityMap
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    contributing_equipment,
    equipment,
    no_names_in_warnings,
    own_copy,
    put,
    save,
    series_description,
    stamp,
)
from operators.write.rehearsal import IDENTITY, rehearsal_label_map, rehearsal_volume
from operators.write.seg_file import append_encapsulated, append_native, native_length
from operators.write.seg_frames import (
    BinaryFrames,
    FractionalFrames,
    LabelmapFrames,
    RegionFrames,
    RleLabelmapFrames,
)
from operators.write.seg_items import encode_items, with_segment_number
from operators.write.seg_planes import describe_stack, plane_order, refer_to
from operators.write.stand_ins import first_stand_in
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from operators.core.label_map import Algorithm, Segment, SegmentOrigin
    from operators.runtime.application import RunContext
    from operators.write.seg_frames import Frame, Frames

FILE_NAME = "seg.dcm"
READ_WHEN_ASKED_FOR = 1 << 16
"""Elements longer than this stay in the file until somebody looks at them: frames are far larger than all else."""


class SegmentationType(StrEnum):
    """Segmentation Type (0062,0001), and for LABELMAP how it is encoded."""

    BINARY = "binary"
    """One bit a pixel, segments may overlap: what every reader reads."""
    LABELMAP = "labelmap"
    """Segment Numbers as pixels, native: for many segments that do not overlap."""
    LABELMAP_RLE = "labelmap_rle"
    """The same in RLE Lossless, some thirty times smaller."""
    FRACTIONAL = "fractional"
    """Probabilities in 256 steps."""


@dataclass(frozen=True)
class WriteParameters:
    """Where results go, and in which form.

    Attributes:
        folder: Output folder, which exists.
        segmentation_type: Form of the SEG.
    """

    folder: Path
    segmentation_type: SegmentationType = SegmentationType.BINARY

    @classmethod
    def of(cls, context: RunContext) -> WriteParameters:
        """Those of a run: BINARY where the manifest names no form."""
        return cls(
            context.output_folder, SegmentationType(context.objects.get(ObjectKind.SEG) or cls.segmentation_type)
        )


class WriteSegmentation(Step):
    """Write a label map as one Segmentation in the source's study.

    Segments that were not found are left out: a described but empty segment stops viewers. Numbers of the segments
    follow their order among those that were found.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid; ProbabilityMap for a FRACTIONAL Segmentation.
        identity: ResultIdentity.

    Named Output:
        seg: WrittenFile with Segmentation Storage 1.2.840.10008.5.1.4.1.1.66.4, or Label Map Segmentation Storage
            1.2.840.10008.5.1.4.1.1.66.7; its data set reads frames from the file when they are asked for.

    Raises GeometryError where the label map does not lie on the volume's grid or the volume not where its source says,
    SegmentationError where it is empty or of a kind that the form cannot hold.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "identity")
    output: ClassVar[str] = "seg"
    share: ClassVar[float] = 4.0

    @classmethod
    def prepare(cls, model: Path | None) -> None:
        """Rehearse."""
        volume = rehearsal_volume()
        build_segmentation(volume, rehearsal_label_map(volume), IDENTITY)

    def process(self, volume: Volume, label_map: LabelMap | ProbabilityMap, identity: ResultIdentity) -> WrittenFile:
        """Write, and read back what is not a frame."""
        parameters: WriteParameters = self.parameters
        path = parameters.folder / FILE_NAME
        write_segmentation(path, volume, label_map, identity, parameters.segmentation_type)
        return WrittenFile(path, dcmread(path, defer_size=READ_WHEN_ASKED_FOR))


@no_names_in_warnings()
def write_segmentation(
    path: Path,
    volume: Volume,
    label_map: LabelMap | ProbabilityMap | SegmentedRegions,
    identity: ResultIdentity,
    segmentation_type: SegmentationType = SegmentationType.BINARY,
) -> None:
    """Write the segments that were found as a SEG.

    Args:
        path: The file.
        volume: The source; its slices are referenced.
        label_map: Labels, probabilities or regions on the same grid.
        identity: UIDs and clock derive from it.
        segmentation_type: Form of the SEG.

    Raises:
        SegmentationError: If no segment was found, or the form cannot hold the map.
    """
    require_same_grid(volume, label_map)
    require_grid_of_headers(volume, label_map)
    frames = _frames(label_map, segmentation_type)
    if not frames.segments:
        raise SegmentationError("no segment was found: there is nothing to write as SEG")
    skeleton, items, order = _head(volume, frames, label_map.algorithm, identity, segmentation_type)
    encapsulated = skeleton.file_meta.TransferSyntaxUID.is_encapsulated
    bits = math.prod(volume.array.shape[1:]) * skeleton.BitsAllocated
    length = 0 if encapsulated else native_length(len(order), bits)
    save(skeleton, path)
    if encapsulated:
        append_encapsulated(path, items, frames.pixels(order))
    else:
        append_native(path, items, frames.pixels(order), length)


def build_segmentation(
    volume: Volume,
    label_map: LabelMap | ProbabilityMap,
    identity: ResultIdentity,
    segmentation_type: SegmentationType = SegmentationType.BINARY,
) -> Dataset:
    """The same as a data set in memory, frames included.

    Args:
        volume: The source; its slices are referenced.
        label_map: Labels or probabilities on the same grid.
        identity: UIDs and clock derive from it.
        segmentation_type: Form of the SEG.

    Returns:
        The data set.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / FILE_NAME
        write_segmentation(path, volume, label_map, identity, segmentation_type)
        return dcmread(path)


def tracking_uid(segment: Segment, identity: ResultIdentity) -> str:
    """Tracking UID (0062,0021) of a segment, the same in SEG and SR; its own where it was read with one."""
    return segment.origin.tracking_uid if segment.origin else identity.uid(f"tracking/{segment.name}")


def tracking_id(segment: Segment, identity: ResultIdentity) -> str:
    """Tracking ID (0062,0020) of a segment, the same in SEG and SR; its own where it was read with one."""
    return segment.origin.tracking_id if segment.origin else f"{identity.app}/{segment.name}"


def describe_segment(
    number: int, segment: Segment, algorithm: Algorithm, identity: ResultIdentity
) -> hd.seg.SegmentDescription:
    """Segment Sequence item (PS3.3 C.8.20.2)."""
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=segment.category,
        segmented_property_type=segment.type,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=algorithm.name, family=algorithm.family, version=algorithm.version, source=defaults.MANUFACTURER
        ),
        tracking_uid=tracking_uid(segment, identity),
        tracking_id=tracking_id(segment, identity),
        anatomic_regions=[segment.region] if segment.region else None,
        display_color=hd.color.CIELabColor.from_rgb(*segment.colour),
    )
    if segment.modifier:
        _add_modifier(description, segment.modifier)
    if segment.origin:
        _name_maker(description, segment.origin)
    return description


def _name_maker(description: hd.seg.SegmentDescription, origin: SegmentOrigin) -> None:
    """Say how the segment was made, in place of what wrote it down here."""
    # Of Type 1 in a SEG; what nobody calls computed is taken for drawn.
    description.SegmentAlgorithmType = origin.algorithm_type or "MANUAL"
    del description.SegmentationAlgorithmIdentificationSequence
    if description.SegmentAlgorithmType == "MANUAL":
        del description.SegmentAlgorithmName
    else:
        description.SegmentAlgorithmName = origin.algorithm_name


def _add_modifier(description: hd.seg.SegmentDescription, modifier: Code) -> None:
    """Add the laterality to the region where there is one, else to the type (PS3.3 C.8.20.2, 10.5)."""
    concept = [hd.sr.CodedConcept.from_code(modifier)]
    if "AnatomicRegionSequence" in description:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = concept
    else:
        type_item = description.SegmentedPropertyTypeCodeSequence[0]
        type_item.SegmentedPropertyTypeModifierCodeSequence = concept


def _frames(label_map: LabelMap | ProbabilityMap | SegmentedRegions, segmentation_type: SegmentationType) -> Frames:
    """The frames of a map in that form.

    Raises:
        SegmentationError: If the form holds another kind of map.
    """
    if isinstance(label_map, SegmentedRegions) and segmentation_type is SegmentationType.BINARY:
        return RegionFrames(label_map)
    if isinstance(label_map, ProbabilityMap) != (segmentation_type is SegmentationType.FRACTIONAL):
        raise SegmentationError(
            f"a {type(label_map).__name__} cannot be written as {segmentation_type.upper()}: "
            "FRACTIONAL holds a ProbabilityMap, the other types a LabelMap"
        )
    if isinstance(label_map, ProbabilityMap):
        return FractionalFrames(label_map)
    assert isinstance(label_map, LabelMap)
    if segmentation_type is SegmentationType.BINARY:
        return BinaryFrames(label_map)
    return (RleLabelmapFrames if segmentation_type is SegmentationType.LABELMAP_RLE else LabelmapFrames)(label_map)


def _head(
    volume: Volume, frames: Frames, algorithm: Algorithm, identity: ResultIdentity, segmentation_type: SegmentationType
) -> tuple[Dataset, list[bytes], list[Frame]]:
    """All elements but those of frames, the encoded items of the frames, and the frames."""
    headers = [first_stand_in(volume), *(source.header for source in volume.slices[1:])]
    dataset = _skeleton(headers[0], frames, algorithm, identity, segmentation_type)
    (item,) = dataset.PerFrameFunctionalGroupsSequence
    del dataset.PerFrameFunctionalGroupsSequence, dataset.PixelData
    refer_to(dataset, volume.slices)
    describe_stack(dataset, headers, frames.slices, one_kind="SegmentIdentificationSequence" not in item)
    slices = plane_order(headers, frames.slices)
    items = dict(zip(slices, encode_items(item, [volume.slices[index] for index in slices]), strict=True))
    order = frames.order(slices)
    dataset.Rows, dataset.Columns = volume.array.shape[1:]
    dataset.NumberOfFrames = len(order)
    dataset.SegmentsOverlap = frames.overlap
    return dataset, [with_segment_number(items[f.slice_index], f.segment_number) for f in order], order


def _skeleton(
    header: Dataset, frames: Frames, algorithm: Algorithm, identity: ResultIdentity, segmentation_type: SegmentationType
) -> hd.seg.Segmentation:
    """The SEG as highdicom makes it of one slice with one pixel, which segment 1 fills."""
    one_pixel = own_copy(header)
    put(one_pixel, "Rows", 1)
    put(one_pixel, "Columns", 1)
    descriptions = [describe_segment(n, s, algorithm, identity) for n, s in enumerate(frames.segments, start=1)]
    dataset = hd.seg.Segmentation(
        source_images=[one_pixel],
        pixel_array=np.ones((1, 1, 1), dtype=np.uint8),
        # One segment and several differ in where they are named; highdicom's time grows with their number.
        segment_descriptions=descriptions[:2],
        series_instance_uid=identity.uid("seg/series"),
        series_number=defaults.SEG_SERIES_NUMBER,
        sop_instance_uid=identity.uid("seg/instance"),
        instance_number=1,
        **equipment(algorithm),
        content_label="SEGMENTATION",
        content_description=algorithm.name,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
        **_form(segmentation_type),
    )
    dataset.SegmentSequence.extend(descriptions[2:])
    _replace_random_uids(dataset, identity)
    stamp(dataset, identity, series_description("SEG", identity))
    return dataset


def _form(segmentation_type: SegmentationType) -> dict[str, Any]:
    """What a form is in arguments of highdicom."""
    labelmap = segmentation_type in {SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE}
    rle = segmentation_type is SegmentationType.LABELMAP_RLE
    return {
        "segmentation_type": "LABELMAP" if labelmap else segmentation_type.upper(),
        "transfer_syntax_uid": RLELossless if rle else ExplicitVRLittleEndian,
        "omit_empty_frames": not labelmap,
    }


def _replace_random_uids(dataset: hd.seg.Segmentation, identity: ResultIdentity) -> None:
    """Highdicom draws the Dimension Organization UID at random."""
    uid = identity.uid("seg/dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
