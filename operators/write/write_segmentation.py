"""WriteSegmentation: a label map as DICOM SEG, BINARY (PS3.3 A.51)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import highdicom as hd
import numpy as np

from operators.core import defaults
from operators.core.errors import SegmentationError
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    contributing_equipment,
    no_names_in_warnings,
    save,
    series_description,
    source_headers,
    stamp,
)
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from operators.core.label_map import Segment

FILE_NAME = "seg.dcm"


@dataclass(frozen=True)
class WriteParameters:
    """Where results go.

    Attributes:
        folder: Output folder, which exists.
    """

    folder: Path


class WriteSegmentation(Step):
    """Write a label map as one BINARY Segmentation in the source's study.

    Segments that were not found are left out: a described but empty segment stops viewers. Numbers of the segments
    follow their order among those that were found.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid.
        identity: ResultIdentity.

    Named Output:
        seg: WrittenFile with Segmentation Storage 1.2.840.10008.5.1.4.1.1.66.4.

    Raises GeometryError where the label map does not lie on the volume's grid, SegmentationError where it is empty.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "identity")
    output: ClassVar[str] = "seg"
    share: ClassVar[float] = 4.0

    def process(self, volume: Volume, label_map: LabelMap, identity: ResultIdentity) -> WrittenFile:
        """Build and save."""
        parameters: WriteParameters = self.parameters
        dataset = build_segmentation(volume, label_map, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@no_names_in_warnings()
def build_segmentation(volume: Volume, label_map: LabelMap, identity: ResultIdentity) -> hd.seg.Segmentation:
    """A BINARY Segmentation of the segments that were found.

    Args:
        volume: The source; its slices are referenced.
        label_map: Labels on the same grid.
        identity: UIDs and clock derive from it.

    Returns:
        The data set.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid.
        SegmentationError: If no segment was found.
    """
    require_same_grid(volume, label_map)
    found = found_segments(label_map)
    if not found:
        raise SegmentationError("no segment was found: there is nothing to write as SEG")
    algorithm = label_map.algorithm
    dataset = hd.seg.Segmentation(
        source_images=source_headers(volume),
        pixel_array=_pixels(label_map, found),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(n, s, label_map, identity) for n, s in enumerate(found, start=1)],
        series_instance_uid=identity.uid("seg/series"),
        series_number=defaults.SEG_SERIES_NUMBER,
        sop_instance_uid=identity.uid("seg/instance"),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        device_serial_number=algorithm.digest[:16],
        content_label="SEGMENTATION",
        content_description=algorithm.name,
        omit_empty_frames=True,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    _replace_random_uids(dataset, identity)
    stamp(dataset, identity, series_description("SEG", identity))
    return dataset


def found_segments(label_map: LabelMap) -> tuple[Segment, ...]:
    """The segments that have at least one voxel; their Segment Number in the SEG is their place here, from 1."""
    present = np.bincount(label_map.array.ravel(), minlength=256) > 0
    return tuple(segment for segment in label_map.segments if present[list(segment.labels)].any())


def tracking_uid(segment: Segment, identity: ResultIdentity) -> str:
    """Tracking UID (0062,0021) of a segment, the same in SEG and SR."""
    return identity.uid(f"tracking/{segment.name}")


def tracking_id(segment: Segment, identity: ResultIdentity) -> str:
    """Tracking ID (0062,0020) of a segment, the same in SEG and SR."""
    return f"{identity.app}/{segment.name}"


def _pixels(label_map: LabelMap, found: Sequence[Segment]) -> NDArray[np.uint8]:
    """`(slices, rows, columns)` labels where segments exclude each other, else a stack with segments as last axis.

    highdicom takes a label map in a quarter of the time and memory of a stack.
    """
    labels = [label for segment in found for label in segment.labels]
    if len(labels) == len(set(labels)):
        table = np.zeros(256, dtype=np.uint8)
        for number, segment in enumerate(found, start=1):
            table[list(segment.labels)] = number
        return table[label_map.array]
    stack = np.empty((*label_map.array.shape, len(found)), dtype=np.uint8)
    for index, segment in enumerate(found):
        stack[..., index] = label_map.mask(segment)
    return stack


def _describe(
    number: int, segment: Segment, label_map: LabelMap, identity: ResultIdentity
) -> hd.seg.SegmentDescription:
    """Segment Sequence item (PS3.3 C.8.20.2)."""
    algorithm = label_map.algorithm
    return hd.seg.SegmentDescription(
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


def _replace_random_uids(dataset: hd.seg.Segmentation, identity: ResultIdentity) -> None:
    """Highdicom draws the Dimension Organization UID at random."""
    uid = identity.uid("seg/dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
