"""Bone: cortex by its HU, marrow by what the cortex encloses, without the spinal canal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.morphology import Spacing, close_disc, drop_small, erode, fill_holes, fill_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.parameters import TrunkParameters


def find_bone(
    hu: NDArray[np.float32], body: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Find bone with its marrow on the working grid.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        body: The body.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Bone, including enhanced vessels or stones as large as bones.
    """
    cortex = _drop_stones(body & (hu > parameters.bone_hu), spacing_mm, parameters)
    closed = close_disc(cortex, parameters.bone_closing_mm, spacing_mm)
    filled = fill_marrow(closed, spacing_mm[1], parameters.canal_behind_bone_mm)
    # The closing also fills crevices between processes; eroding takes those off again, marrow survives it.
    marrow = np.stack([erode(plane[None], parameters.bone_shell_mm, spacing_mm)[0] for plane in filled])
    return np.asarray(cortex | marrow, dtype=np.bool_)


def _drop_stones(bright: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters) -> NDArray[np.bool_]:
    """Drop pieces below a volume, but keep those that the first or last slice cuts as wide as a bone."""
    least = parameters.bone_section_cm2 * 100.0 / (spacing_mm[1] * spacing_mm[2])
    labels, count = ndimage.label(bright)
    ends = [np.bincount(labels[index].ravel(), minlength=count + 1) >= least for index in (0, -1)]
    cut = ends[0] | ends[1]
    cut[0] = False
    return drop_small(bright, parameters.bone_minimum_ml, spacing_mm) | np.asarray(cut[labels], dtype=np.bool_)


def refine_bone(
    hu: NDArray[np.floating] | NDArray[np.integer],
    depth_mm: NDArray[np.float32],
    marrow_mm: NDArray[np.float32],
    margin_mm: float,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Find bone in one slice at full resolution: what is bright near bone, marrow, and what these enclose.

    A voxel of the working grid that an end-plate or a process cuts is as bright as bone, and most of it may be disc or
    muscle: of such voxels only what is bone in its own slice counts.

    Args:
        hu: The slice `(rows, columns)`.
        depth_mm: Distance to the surface of bone, positive inside.
        marrow_mm: The same of marrow that is darker than bone.
        margin_mm: Size of a working voxel.
        parameters: Constants of the engine.

    Returns:
        Bone with its marrow `(rows, columns)`.
    """
    solid = ((depth_mm > -margin_mm) & (hu > parameters.bone_hu)) | (marrow_mm > 0)
    within = (depth_mm > margin_mm / 2) & (fill_holes(solid) | (hu > parameters.marrow_hu))
    return np.asarray(solid | within, dtype=np.bool_)


def fill_marrow(bone: NDArray[np.bool_], row_mm: float, canal_behind_bone_mm: float) -> NDArray[np.bool_]:
    """Fill the holes of each slice, except the spinal canal.

    The canal is the hole behind a vertebral body. Where a slice passes above or below the body and the arch is closed
    all the same, it is the hole of which at least half lies over the canal of the next slice.

    Args:
        bone: Bone `(slices, rows, columns)`, rows increase towards posterior.
        row_mm: Distance between rows.
        canal_behind_bone_mm: Bone in front of a hole that makes it the canal.

    Returns:
        Bone with its holes, without the canal.
    """
    filled = fill_slices(bone)
    holes = [np.asarray(ndimage.label(plane)[0], dtype=np.int32) for plane in filled & ~bone]
    canal = np.zeros_like(bone)
    for index, labels in enumerate(holes):
        for hole in range(1, int(labels.max()) + 1):
            if _bone_in_front(filled[index], labels == hole) * row_mm >= canal_behind_bone_mm:
                canal[index][labels == hole] = True
    for index in range(1, len(holes)):
        canal[index] |= _continued(holes[index], canal[index - 1])
    for index in range(len(holes) - 2, -1, -1):
        canal[index] |= _continued(holes[index], canal[index + 1])
    return filled & ~canal


def _continued(holes: NDArray[np.int32], canal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Holes of a slice, numbered, of which at least half lies over the canal of the next slice."""
    sizes = np.bincount(holes.ravel())
    over = np.bincount(holes[canal], minlength=sizes.size)
    is_canal = 2 * over >= sizes
    is_canal[0] = False
    return np.asarray(is_canal[holes], dtype=np.bool_)


def _bone_in_front(filled: NDArray[np.bool_], hole: NDArray[np.bool_]) -> int:
    """Count the rows of uninterrupted bone in front of a hole, in its middle column."""
    columns = np.unique(np.nonzero(hole)[1])
    middle = int(columns[columns.size // 2])
    first = int(np.flatnonzero(hole[:, middle])[0])
    gaps = np.flatnonzero(~filled[:first, middle][::-1])
    return int(gaps[0]) if gaps.size else first
