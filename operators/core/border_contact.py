"""Border contact: at which sides of the field of view a region ends because the images end there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.core.field_of_view import contact_mm, unseen
from operators.core.segmented_regions import SAME_LATTICE, Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.segmented_regions import Box, Region
    from operators.core.volume import Volume

SIDES = (("right", "left"), ("front", "back"), ("feet", "head"))
"""Sides of the patient towards which x, y and z of LPS fall and grow."""


UNRECONSTRUCTED = "end of what was reconstructed"


def field_contacts(region: Region, volume: Volume) -> tuple[str, ...]:
    """Where a region reaches the end of the field of view: the sides of `border_contacts`, and UNRECONSTRUCTED.

    Args:
        region: A region on any grid.
        volume: The images; a pixel beside the region is padding, or lies outside of the reconstructed circle.
    """
    slices, rows, columns = volume.array.shape
    grid = Grid((slices, rows, columns), volume.affine_lps.copy())
    sides = border_contacts(region, grid)
    return (*sides, UNRECONSTRUCTED) if region.voxels and _faces_unseen(region.on(grid), volume) else sides


def _faces_unseen(box: Box, volume: Volume) -> bool:
    """Whether a pixel of a mask on the images' grid lies on or beside one that was not reconstructed."""
    # A row and a column around the box: what it faces lies there.
    around = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in box.slices[1:])
    for index, plane in enumerate(box.mask, start=box.corner[0]):
        outside = unseen(volume, index) if plane.any() else None
        if outside is None or not outside[around].any():
            continue
        whole = np.zeros(outside.shape, dtype=bool)
        whole[box.slices[1:]] = plane
        inside = whole[around]
        if (inside & outside[around]).any() or contact_mm(inside, outside[around], (1.0, 1.0), reach_px=1):
            return True
    return False


def border_contacts(region: Region, images: Grid) -> tuple[str, ...]:
    """The sides of the patient at which a region reaches the border of the images, or beyond.

    A region reaches a border where one of its voxels, a box around its centre, does: on the images' own grid, where it
    has a voxel in the first or last slice, row or column.

    Args:
        region: A region on any grid.
        images: The grid of the images.

    Returns:
        Sides, each once, in the order right, left, front, back, feet, head; none for an empty region.
    """
    if not region.voxels:
        return ()
    to_images = region.grid.in_voxels_of(images)
    half = np.abs(to_images[:3, :3]).sum(axis=1) / 2
    places = _ends_of_rows(region) @ to_images[:3, :3].T + to_images[:3, 3]
    begins = (places - half).min(axis=0) <= -0.5 + SAME_LATTICE
    ends = (places + half).max(axis=0) >= np.array(images.shape) - 0.5 - SAME_LATTICE
    touched = {_side(images, axis, grows=False) for axis in range(3) if begins[axis]}
    touched |= {_side(images, axis, grows=True) for axis in range(3) if ends[axis]}
    return tuple(side for pair in SIDES for side in pair if side in touched)


def _ends_of_rows(region: Region) -> NDArray[np.int64]:
    """`(voxels, 3)`: the first and the last voxel of each row: none lies farther out in any direction."""
    box = region.box
    slices, rows = np.nonzero(box.mask.any(axis=2))
    lines = box.mask[slices, rows]
    first, last = lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([slices, rows, first]), np.column_stack([slices, rows, last])])
    return np.asarray(ends + box.corner)


def _side(images: Grid, axis: int, *, grows: bool) -> str:
    """Side of the patient that the end, or the beginning, of an axis of the images points to."""
    direction = images.affine_lps[:3, axis]
    nearest = int(np.abs(direction).argmax())
    return SIDES[nearest][int((direction[nearest] > 0) == grows)]
