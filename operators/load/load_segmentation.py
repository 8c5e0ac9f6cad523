"""LoadSegmentation: the segments of the SEGs and RT Structure Sets that refer to the selected volume."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.header import attribute, read_text
from operators.core.segmentation_checks import SEGMENTATIONS
from operators.core.segmentation_references import references_of, segmentations_in
from operators.core.segmented_regions import CONTOURS, Grid, SegmentedObject, SegmentedRegions
from operators.core.selection import LoadedFolder, Selection
from operators.core.source_planes import planes_of
from operators.core.volume import SourceSlice
from operators.load.described_segments import items_of, rois_of, segments_of, with_names_of_their_own
from operators.load.seg_regions import regions_of_seg
from operators.load.structure_set_regions import regions_of_structure_set
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from operators.core.geometry import VolumeGeometry
    from operators.core.label_map import Algorithm, Segment
    from operators.core.reading import Instance


@dataclass(frozen=True)
class LoadSegmentationParameters:
    """How masks come about.

    Attributes:
        algorithm: What measures the segments, with all that its numbers depend on.
        fractional_threshold: Fraction from which a voxel of a FRACTIONAL SEG belongs to its segment.
    """

    algorithm: Algorithm
    fractional_threshold: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.fractional_threshold <= 1:
            raise ValueError(f"fractional_threshold is {self.fractional_threshold:g}; it lies above 0 and up to 1")


class LoadSegmentation(Step):
    """Read every SEG and RT Structure Set of the folder that refers to the selected volume.

    BINARY, FRACTIONAL and LABELMAP; segments may overlap and lie on a grid of their own. Contours are filled slice by
    slice, pixels whose centre is inside. Segments keep their codes, labels and Tracking UIDs.

    Named Input:
        folder: LoadedFolder.
        selection: Selection, whose volume the segmentations refer to.

    Named Output:
        label_map: SegmentedRegions.

    Raises InputRefused where a segmentation is of another patient or Frame of Reference, refers to images that are not
    there or to another series, or its geometry or pixels are unfit; nothing is measured then.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder", "selection")
    output: ClassVar[str] = "label_map"
    share: ClassVar[float] = 2.0

    def process(self, folder: LoadedFolder, selection: Selection) -> SegmentedRegions:
        """Read."""
        parameters: LoadSegmentationParameters = self.parameters
        return load_segmentation(folder, selection, parameters)


def load_segmentation(
    folder: LoadedFolder, selection: Selection, parameters: LoadSegmentationParameters
) -> SegmentedRegions:
    """The regions of all segmentations of a folder.

    Args:
        folder: The folder.
        selection: The volume that they refer to.
        parameters: How masks come about.

    Returns:
        The regions; names are those of the labels, each of its own.

    Raises:
        InputRefused: If one of them cannot be measured on that volume.
    """
    return read_segmentations(segmentations_in(folder), folder, selection, parameters)


def read_segmentations(
    instances: Sequence[Instance], folder: LoadedFolder, selection: Selection, parameters: LoadSegmentationParameters
) -> SegmentedRegions:
    """The regions of some of a folder's segmentations; otherwise as `load_segmentation`.

    Raises:
        InputRefused: If one of them cannot be measured on that volume.
    """
    volume = selection.volume
    findings = [finding for instance in instances for finding in _misfits(instance, volume, folder)]
    if findings:
        raise InputRefused(findings)
    assert volume.shape is not None  # it was selected: it has a grid
    assert volume.affine_lps is not None
    source = Grid(volume.shape, volume.affine_lps.copy())
    objects = [_read(instance, volume, source, parameters.fractional_threshold) for instance in instances]
    regions = SegmentedRegions(tuple(_named_apart(objects)), source, parameters.algorithm)
    _require_tracking(regions)
    return regions


def _misfits(instance: Instance, volume: VolumeGeometry, folder: LoadedFolder) -> Iterator[Finding]:
    """Why a segmentation is none of that volume."""
    first = volume.frames[0].header
    for keyword, code in (
        ("PatientID", FindingCode.MIXED_PATIENT),
        ("StudyInstanceUID", FindingCode.MIXED_STUDY),
        ("FrameOfReferenceUID", FindingCode.MIXED_FRAME_OF_REFERENCE),
    ):
        found = _frame_of_reference(instance) if keyword == "FrameOfReferenceUID" else {_text(instance, keyword)}
        if found != {read_text(first, keyword)}:
            yield _finding(
                instance, code, f"{attribute(keyword)} is not that of the images; send it with the images it is of"
            )
    named = references_of(instance, volume.series.uid)
    if not named & {frame.instance.uid for frame in volume.frames}:
        yield _finding(
            instance, FindingCode.UNFIT_SEGMENTATION,
            f"it refers to no image of the series {volume.series.uid}, which was selected; measure it on its own",
        )  # fmt: skip
    present = {one.uid for series in folder.series for one in series.series.instances}
    if missing := named - present:
        yield _finding(
            instance, FindingCode.UNFIT_SEGMENTATION,
            f"{len(missing)} of the {len(named)} images that it refers to are not there; send them as well",
        )  # fmt: skip


def _frame_of_reference(instance: Instance) -> set[str]:
    """Frames of Reference that a segmentation's places are in; each ROI of a structure set names its own."""
    if _text(instance, "SOPClassUID") in SEGMENTATIONS:
        return {_text(instance, "FrameOfReferenceUID")}
    rois = items_of(instance.header, "StructureSetROISequence")
    return {read_text(roi, "ReferencedFrameOfReferenceUID") for roi in rois}


def _text(instance: Instance, keyword: str) -> str:
    return read_text(instance.header, keyword)


def _finding(instance: Instance, code: FindingCode, why: str) -> Finding:
    return Finding(code, f"{instance.name} ({instance.uid}): {why}", instances=(instance.uid,))


def _read(instance: Instance, volume: VolumeGeometry, source: Grid, threshold: float) -> SegmentedObject:
    origin = origin_of(instance)
    if _text(instance, "SOPClassUID") not in SEGMENTATIONS:
        rois = rois_of(instance.header)
        _require_segments(instance, rois)
        return SegmentedObject(origin, CONTOURS, regions_of_structure_set(instance, rois, source))
    segments = segments_of(instance.header)
    _require_segments(instance, segments)
    planes = planes_of({frame.instance.uid: frame.instance.header for frame in volume.frames}.values())
    kind = _text(instance, "SegmentationType")
    return SegmentedObject(origin, kind, regions_of_seg(instance, segments, source, planes, threshold))


def _require_segments(instance: Instance, segments: Sequence[Segment]) -> None:
    """Refuse an object that describes nothing, or two things of one number: nothing says whose a frame or contour is.

    Raises:
        InputRefused: If so.
    """
    numbers = Counter(segment.labels[0] for segment in segments)
    repeated = ", ".join(str(number) for number, count in numbers.items() if count > 1)
    if not segments:
        raise InputRefused([_finding(instance, FindingCode.UNFIT_SEGMENTATION, "it describes no segment")])
    if repeated:
        raise InputRefused([
            _finding(
                instance, FindingCode.UNFIT_SEGMENTATION, f"it describes several segments with the number {repeated}"
            )
        ])


def _named_apart(objects: Iterable[SegmentedObject]) -> Iterator[SegmentedObject]:
    """The objects, their segments with names that are unique in the run."""
    objects = list(objects)
    names = with_names_of_their_own(region.segment for one in objects for region in one.regions)
    for one in objects:
        regions = [replace(r, segment=replace(r.segment, name=next(names))) for r in one.regions]
        yield replace(one, regions=tuple(regions))


def _require_tracking(regions: SegmentedRegions) -> None:
    """Refuse segments that share a Tracking UID: in a report they would be one finding, whose numbers contradict.

    Raises:
        InputRefused: If there are any.
    """
    taken: dict[str, str] = {}
    for one in regions.objects:
        for region in one.regions:
            assert region.segment.origin is not None  # it was read
            uid = region.segment.origin.tracking_uid
            if uid in taken:
                other = read_text(one.source.header, "SOPInstanceUID")
                raise InputRefused([
                    Finding(
                        FindingCode.UNFIT_SEGMENTATION,
                        f"{attribute('TrackingUID')} {uid} is that of several segments; measure one after the other",
                        instances=tuple(dict.fromkeys((taken[uid], other))),
                    )
                ])
            taken[uid] = read_text(one.source.header, "SOPInstanceUID")


def origin_of(instance: Instance) -> SourceSlice:
    """The file, its header, and the SHA-256 of all its bytes."""
    with instance.path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return SourceSlice(instance.path, instance.header, digest)
