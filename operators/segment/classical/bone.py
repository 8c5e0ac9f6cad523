"""Bone: cortex by its HU, marrow by what the cortex encloses, without the spinal canal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

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
    canal = fill_slices(closed) & ~filled
    enclosed = find_enclosed(closed, body, spacing_mm, parameters) & (hu > parameters.soft_hu)
    filled |= fill_vertebrae(closed, enclosed, canal, spacing_mm, parameters)
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


def find_enclosed(
    bone: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Find what a cortex with gaps encloses near the midline: what meets bone in most directions of its slice.

    The cortex of an old vertebra is thinner than a voxel, and behind it is open for the basivertebral vein. A rim that
    is open in front or at a side is that of a disc.

    Args:
        bone: Bone, `(slices, rows, columns)`.
        body: The body.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Where `vertebra_enclosure` of all directions, and all but `vertebra_gaps_ahead` of those that do not lead to the
        canal, meet bone within the width of a vertebral body.
    """
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    middle = (columns[0] + columns[-1]) / 2 if columns.size else 0.0
    near = np.abs(np.arange(bone.shape[2]) - middle) * spacing_mm[2] <= parameters.spine_midline_mm
    radii_mm = np.arange(max(spacing_mm[1:]), parameters.vertebra_width_mm, max(spacing_mm[1:]))
    meeting = np.zeros(bone.shape, dtype=np.uint8)
    directions = parameters.vertebra_directions
    open_ahead = np.zeros(bone.shape, dtype=np.uint8)
    for angle in (np.arange(directions) + 0.5) * 2 * np.pi / directions:
        rows, columns = radii_mm * np.sin(angle) / spacing_mm[1], radii_mm * np.cos(angle) / spacing_mm[2]
        met = _meets(bone, np.rint(rows).astype(np.intp), np.rint(columns).astype(np.intp))
        meeting += met
        # Rows run to the back: the quarter of the directions towards the canal may be open.
        if np.sin(angle) < np.sqrt(0.5):
            open_ahead += ~met
    return (
        near & (open_ahead <= parameters.vertebra_gaps_ahead) & (meeting >= parameters.vertebra_enclosure * directions)
    )


def _meets(bone: NDArray[np.bool_], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Mark where bone lies at any of some offsets in the same slice."""
    margins = [int(np.abs(offsets).max()) for offsets in (rows, columns)]
    padded = np.pad(bone, ((0, 0), *((margin, margin) for margin in margins)))
    out = np.zeros_like(bone)
    for row, column in zip(rows + margins[0], columns + margins[1], strict=True):
        out |= padded[:, row : row + bone.shape[1], column : column + bone.shape[2]]
    return out


def fill_vertebrae(
    bone: NDArray[np.bool_],
    enclosed: NDArray[np.bool_],
    canal: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Fill vertebral bodies, which lie in front of the canal and are convex: the hull of what they enclose.

    Args:
        bone: Bone, `(slices, rows, columns)`.
        enclosed: What it encloses, where it is open to the canal that with it.
        canal: The canal, in the slices in which it is closed.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The vertebral bodies where they enclose marrow; nothing where no slice shows the canal.
    """
    found = [_front_of_canal(plane, spacing_mm, parameters) for plane in canal]
    shown = np.flatnonzero([front is not None for front in found])
    if shown.size == 0:
        return np.zeros_like(bone)
    fronts = np.array([front for front in found if front is not None])
    half = parameters.spine_smoothing_mm / 2 / spacing_mm[0]
    smooth = np.array([np.median(fronts[np.abs(shown - index) <= half], axis=0) for index in shown])
    row, column = (np.interp(np.arange(bone.shape[0]), shown, values)[:, None, None] for values in smooth.T)
    in_front_mm = (row - np.arange(bone.shape[1])[None, :, None]) * spacing_mm[1]
    left_mm = np.abs(np.arange(bone.shape[2])[None, None, :] - column) * spacing_mm[2]
    zone = (
        (in_front_mm > 0)
        & (in_front_mm <= parameters.vertebra_depth_mm)
        & (left_mm <= parameters.vertebra_width_mm / 2)
    )
    marrow = np.stack([convex_hull_image(plane) if plane.any() else plane for plane in enclosed & ~bone & zone])
    return np.asarray(close_disc((bone & zone) | marrow, parameters.bone_closing_mm, spacing_mm) & zone, dtype=np.bool_)


def _front_of_canal(
    holes: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> tuple[float, float] | None:
    """Give the front row and the middle column of the foremost hole that is not larger than a canal; None without one.

    Holes behind it are marrow of a spinous process.
    """
    for rows, columns in ndimage.find_objects(ndimage.label(holes)[0]):
        depth_mm, width_mm = (rows.stop - rows.start) * spacing_mm[1], (columns.stop - columns.start) * spacing_mm[2]
        if depth_mm <= parameters.canal_depth_mm and width_mm <= parameters.canal_width_mm:
            return float(rows.start), (columns.start + columns.stop - 1) / 2
    return None


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
