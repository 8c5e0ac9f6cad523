"""Bone: cortex by its HU, marrow by what the cortex encloses, without the spinal canal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.morphology import Spacing, close_disc, drop_small, erode

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
    cortex = drop_small(body & (hu > parameters.bone_hu), parameters.bone_minimum_ml, spacing_mm)
    closed = close_disc(cortex, parameters.bone_closing_mm, spacing_mm)
    filled = np.stack([fill_marrow(plane, spacing_mm[1], parameters.canal_behind_bone_mm) for plane in closed])
    # The closing also fills crevices between processes; eroding takes those off again, marrow survives it.
    marrow = np.stack([erode(plane[None], parameters.bone_shell_mm, spacing_mm)[0] for plane in filled])
    return np.asarray(cortex | marrow, dtype=np.bool_)


def fill_marrow(bone: NDArray[np.bool_], row_mm: float, canal_behind_bone_mm: float) -> NDArray[np.bool_]:
    """Fill the holes of one slice, except the spinal canal: the hole behind a vertebral body.

    Args:
        bone: Bone of one slice, rows increase towards posterior.
        row_mm: Distance between rows.
        canal_behind_bone_mm: Bone in front of a hole that makes it the canal.

    Returns:
        Bone with its holes, without the canal.
    """
    filled = np.asarray(ndimage.binary_fill_holes(bone), dtype=np.bool_)
    holes, count = ndimage.label(filled & ~bone)
    if count == 0:
        return bone.copy()
    out = filled.copy()
    for index in range(1, count + 1):
        hole = np.asarray(holes == index, dtype=np.bool_)
        if _bone_in_front(filled, hole) * row_mm >= canal_behind_bone_mm:
            out[hole] = False
    return out


def _bone_in_front(filled: NDArray[np.bool_], hole: NDArray[np.bool_]) -> int:
    """Count the rows of uninterrupted bone in front of a hole, in its middle column."""
    columns = np.unique(np.nonzero(hole)[1])
    middle = int(columns[columns.size // 2])
    first = int(np.flatnonzero(hole[:, middle])[0])
    gaps = np.flatnonzero(~filled[:first, middle][::-1])
    return int(gaps[0]) if gaps.size else first
