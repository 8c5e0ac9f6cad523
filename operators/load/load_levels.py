"""LoadLevels: the slices of the vertebrae that a Segmentation beside the images shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.errors import InputRefused
from operators.core.header import read_text
from operators.core.levels import VERTEBRAE, Levels
from operators.core.segmentation_checks import SEGMENTATIONS
from operators.core.segmentation_references import references_of, segmentations_in
from operators.core.segmented_regions import Grid
from operators.core.selection import LoadedFolder, Selection
from operators.core.vertebrae import Vertebra, slices_of, vertebra_of
from operators.load.described_segments import segments_of
from operators.load.load_segmentation import LoadSegmentationParameters, origin_of, read_segmentations
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operators.core.geometry import VolumeGeometry
    from operators.core.label_map import Segment
    from operators.core.reading import Instance
    from operators.core.segmented_regions import SegmentedRegions


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
    vertebrae = _claimed_once([each for regions in read for each in _vertebrae_of(regions, unusable)], unusable)
    found = slices_of(vertebrae, _grid_of(volume))
    if found.disordered:
        labels = ", ".join(VERTEBRAE[each.level].label for each in vertebrae)
        unusable.append(f"No vertebra has a level: {labels} do not follow each other from head to feet.")
    sources = tuple(read_text(source.header, "SOPInstanceUID") for regions in read for source in regions.slices)
    return Levels(found.landmarks, found.cut, tuple(unusable), sources, tuple(map(origin_of, named)))


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


def _vertebrae_of(regions: SegmentedRegions, unusable: list[str]) -> Iterator[Vertebra]:
    """The vertebrae of a Segmentation that have a voxel; a segment that contradicts itself is said to be unusable."""
    for region in regions.regions:
        try:
            level = vertebra_of(region.segment)
        except ValueError as error:
            unusable.append(f"Segment {region.number} of {_names(regions)} is no level: {error}.")
            continue
        if level is not None and region.voxels:
            yield Vertebra(level, region)


def _claimed_once(vertebrae: list[Vertebra], unusable: list[str]) -> list[Vertebra]:
    """Those that one segment alone claims to be."""
    claims = {level: [each for each in vertebrae if each.level == level] for level in VERTEBRAE}
    for level, claimed in claims.items():
        if len(claimed) > 1:
            unusable.append(f"{VERTEBRAE[level].label} has no level: {len(claimed)} segments claim to be it.")
    return [claimed[0] for claimed in claims.values() if len(claimed) == 1]


def _grid_of(volume: VolumeGeometry) -> Grid:
    """The grid of the images."""
    assert volume.shape is not None  # it was selected: it has a grid
    assert volume.affine_lps is not None
    return Grid(volume.shape, volume.affine_lps.copy())


def _names(regions: SegmentedRegions) -> str:
    return ", ".join(f"Segmentation {read_text(source.header, 'SOPInstanceUID')}" for source in regions.slices)
