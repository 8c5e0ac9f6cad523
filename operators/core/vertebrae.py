"""Vertebrae: in which slice the body of each vertebra is centred, whoever segmented them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.core.levels import VERTEBRAE
from operators.core.segmented_regions import Grid, Region, box_corners

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment

EQUAL_MM = 1e-6
"""Distances that differ by less are equal."""


@dataclass(frozen=True)
class Vertebra:
    """A vertebra of a segmentation.

    Attributes:
        level: Name of its landmark.
        region: Its mask, which has a voxel.
    """

    level: str
    region: Region


@dataclass(frozen=True)
class VertebraSlices:
    """Where vertebrae are centred.

    Attributes:
        landmarks: Index of the slice by the name of the landmark.
        cut: Landmarks of vertebrae that the end of the scan may cut: their centre is not known.
        disordered: Whether they do not follow each other from head to feet; then none has a slice.
    """

    landmarks: dict[str, int]
    cut: tuple[str, ...] = ()
    disordered: bool = False


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


def slices_of(vertebrae: Sequence[Vertebra], source: Grid) -> VertebraSlices:
    """The slice nearest to the centre of each vertebra's body.

    Args:
        vertebrae: Each level once, from head to feet as they are numbered.
        source: The grid of the images.
    """
    cut = tuple(each.level for each in vertebrae if _may_be_cut(each.region, source))
    centres = {each.level: body_centre_lps(each.region) for each in vertebrae}
    heights = [float(centre[2]) for centre in centres.values()]
    if any(lower >= upper for upper, lower in itertools.pairwise(heights)):
        return VertebraSlices({}, cut, disordered=True)
    to_index = np.linalg.inv(source.affine_lps)
    whole = {level: centre for level, centre in centres.items() if level not in cut}
    return VertebraSlices({level: round(float((to_index @ (*centre, 1.0))[0])) for level, centre in whole.items()}, cut)


def vertebrae_in(label_map: LabelMap) -> Iterator[Vertebra]:
    """The vertebrae of a label map that have a voxel, from head to feet as they are numbered."""
    named = {vertebra_of(segment): segment for segment in label_map.segments}
    wanted = [(level, named[level]) for level in VERTEBRAE if level in named]
    boxes = ndimage.find_objects(label_map.array) if wanted else []
    grid = Grid(label_map.array.shape, label_map.affine_lps.copy())
    for level, segment in wanted:
        found = [box for label in segment.labels if label <= len(boxes) and (box := boxes[label - 1]) is not None]
        if found:
            box = tuple(
                slice(min(s.start for s in ends), max(s.stop for s in ends)) for ends in zip(*found, strict=True)
            )
            mask = segment.mask_of(label_map.array[box])
            first, second, third = (side.start for side in box)
            yield Vertebra(level, Region(segment, grid, (first, second, third), mask.shape, np.packbits(mask)))


def _may_be_cut(region: Region, source: Grid) -> bool:
    """Whether a region reaches the first or last slice of the images, or lies beyond."""
    to_source = region.grid.in_voxels_of(source)
    places = [float((to_source @ (*corner, 1.0))[0]) for corner in box_corners(region.corner, region.shape)]
    return min(places) < 0.5 or max(places) > source.shape[0] - 1.5
