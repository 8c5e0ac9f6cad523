"""LoadLevels: the slices of the vertebrae that a Segmentation beside the images shows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import ndimage

from operators.core.errors import InputRefused
from operators.core.header import read_text
from operators.core.levels import VERTEBRAE, Levels
from operators.core.segmentation_checks import SEGMENTATIONS
from operators.core.segmentation_references import references_of, segmentations_in
from operators.core.segmented_regions import Grid, box_corners
from operators.core.selection import LoadedFolder, Selection
from operators.load.described_segments import segments_of
from operators.load.load_segmentation import LoadSegmentationParameters, origin_of, read_segmentations
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from operators.core.geometry import VolumeGeometry
    from operators.core.label_map import Segment
    from operators.core.reading import Instance
    from operators.core.segmented_regions import Region, SegmentedRegions

EQUAL_MM = 1e-6
"""Distances that differ by less are equal."""


@dataclass(frozen=True)
class _Vertebra:
    """A vertebra of a Segmentation.

    Attributes:
        level: Name of its landmark.
        region: Its mask.
    """

    level: str
    region: Region


class LoadLevels(Step):
    """Read which vertebrae the Segmentations of the folder show, and in which slice the body of each is centred.

    Of every SEG that refers to the selected volume segments count whose Segmented Property Type is a vertebra from T1
    to L5 (SCT, PS3.16 CID 7151 and what it includes), or whose Segment Label is what TotalSegmentator calls one
    (`vertebrae_L3`). A vertebra's slice is the one nearest to the centre of the largest ball that fits into it: bodies
    are less high than deep and wide, arches and processes thinner than bodies, so that it is half way up the body.

    Nothing is guessed: a vertebra that two segments claim, or whose code and label contradict each other, has no level;
    one that reaches the first or last slice may be cut and has none; where vertebrae do not follow each other from head
    to feet none has.

    Named Input:
        folder: LoadedFolder.
        selection: Selection, whose volume the levels are slices of.

    Named Output:
        levels: Levels; empty where no such SEG came with the images.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder", "selection")
    output: ClassVar[str] = "levels"

    def process(self, folder: LoadedFolder, selection: Selection) -> Levels:
        """Read."""
        parameters: LoadSegmentationParameters = self.parameters
        return load_levels(folder, selection, parameters)


def load_levels(folder: LoadedFolder, selection: Selection, parameters: LoadSegmentationParameters) -> Levels:
    """The levels that the Segmentations of a folder show.

    Args:
        folder: The folder.
        selection: The volume that they are slices of.
        parameters: As for any Segmentation that is measured.

    Returns:
        The levels, and what could not be used.
    """
    volume = selection.volume
    images = {frame.instance.uid for frame in volume.frames}
    named = [
        instance for instance in segmentations_in(folder) if _shows_vertebrae(instance) and _is_of(instance, images)
    ]
    unusable: list[str] = []
    read: list[SegmentedRegions] = []
    for instance in named:
        try:
            read.append(read_segmentations((instance,), folder, selection, parameters))
        except InputRefused as error:
            unusable += [finding.message for finding in error.findings]
    vertebrae = [each for regions in read for each in _vertebrae_of(regions, unusable)]
    landmarks, cut = _landmarks(_claimed_once(vertebrae, unusable), _grid_of(volume), unusable)
    sources = tuple(read_text(source.header, "SOPInstanceUID") for regions in read for source in regions.slices)
    return Levels(landmarks, cut, tuple(unusable), sources, tuple(map(origin_of, named)))


def vertebra_of(segment: Segment) -> str | None:
    """The landmark of the vertebra that a segment is, by its type's code or TotalSegmentator's name as its label.

    Raises:
        ValueError: If code and label name two vertebrae.
    """
    codes = {(entry.type.value, entry.type.scheme_designator): level for level, entry in VERTEBRAE.items()}
    labels = {entry.name.lower(): level for level, entry in VERTEBRAE.items()}
    by_code = codes.get((segment.type.value, segment.type.scheme_designator))
    by_label = labels.get(segment.label.strip().lower())
    if by_code and by_label and by_code != by_label:
        raise ValueError(f"its code says {VERTEBRAE[by_code].label}, its label {VERTEBRAE[by_label].label}")
    return by_code or by_label


def body_centre_lps(region: Region) -> NDArray[np.float64]:
    """`(3,)`, centre of the largest ball inside a region, mm in LPS; of several such balls the mean of their centres.

    Args:
        region: A region with a voxel.
    """
    depth = ndimage.distance_transform_edt(np.pad(region.box.mask, 1), sampling=region.grid.spacing_mm)
    deepest = np.argwhere(depth >= depth.max() - EQUAL_MM).mean(axis=0) - 1 + np.array(region.corner)
    return np.asarray((region.grid.affine_lps @ (*deepest, 1.0))[:3])


def _shows_vertebrae(instance: Instance) -> bool:
    if read_text(instance.header, "SOPClassUID") not in SEGMENTATIONS:
        return False
    return any(_level_or_contradiction(segment) for segment in segments_of(instance.header))


def _is_of(instance: Instance, images: set[str]) -> bool:
    """Whether a Segmentation refers to some of the images, or to none at all: then it is refused with that reason."""
    named = references_of(instance)
    return not named or bool(named & images)


def _level_or_contradiction(segment: Segment) -> str | None:
    try:
        return vertebra_of(segment)
    except ValueError as error:
        return str(error)


def _vertebrae_of(regions: SegmentedRegions, unusable: list[str]) -> Iterator[_Vertebra]:
    """The vertebrae of a Segmentation that have a voxel; a segment that contradicts itself is said to be unusable."""
    for region in regions.regions:
        try:
            level = vertebra_of(region.segment)
        except ValueError as error:
            unusable.append(f"Segment {region.number} of {_names(regions)} is no level: {error}.")
            continue
        if level is not None and region.voxels:
            yield _Vertebra(level, region)


def _claimed_once(vertebrae: list[_Vertebra], unusable: list[str]) -> list[_Vertebra]:
    """Those that one segment alone claims to be."""
    claims = {level: [each for each in vertebrae if each.level == level] for level in VERTEBRAE}
    for level, claimed in claims.items():
        if len(claimed) > 1:
            unusable.append(f"{VERTEBRAE[level].label} has no level: {len(claimed)} segments claim to be it.")
    return [claimed[0] for claimed in claims.values() if len(claimed) == 1]


def _landmarks(vertebrae: list[_Vertebra], source: Grid, unusable: list[str]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Slices by landmark, and the landmarks of vertebrae that may be cut."""
    cut = tuple(each.level for each in vertebrae if _may_be_cut(each.region, source))
    centres = {each.level: body_centre_lps(each.region) for each in vertebrae}
    heights = [float(centre[2]) for centre in centres.values()]
    if any(lower >= upper for upper, lower in itertools.pairwise(heights)):
        labels = ", ".join(VERTEBRAE[level].label for level in centres)
        unusable.append(f"No vertebra has a level: {labels} do not follow each other from head to feet.")
        return {}, cut
    to_index = np.linalg.inv(source.affine_lps)
    whole = {level: centre for level, centre in centres.items() if level not in cut}
    return {level: round(float((to_index @ (*centre, 1.0))[0])) for level, centre in whole.items()}, cut


def _grid_of(volume: VolumeGeometry) -> Grid:
    """The grid of the images."""
    assert volume.shape is not None  # it was selected: it has a grid
    assert volume.affine_lps is not None
    return Grid(volume.shape, volume.affine_lps.copy())


def _may_be_cut(region: Region, source: Grid) -> bool:
    """Whether a region reaches the first or the last slice of the images, or lies beyond."""
    to_source = region.grid.in_voxels_of(source)
    places = [float((to_source @ (*corner, 1.0))[0]) for corner in box_corners(region.corner, region.shape)]
    return min(places) < 0.5 or max(places) > source.shape[0] - 1.5


def _names(regions: SegmentedRegions) -> str:
    return ", ".join(f"Segmentation {read_text(source.header, 'SOPInstanceUID')}" for source in regions.slices)
