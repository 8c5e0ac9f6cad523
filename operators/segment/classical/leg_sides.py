"""Leg sides: which part of a scan is the left leg and which the right one, on the working grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from operators.core.errors import SegmentationError
from operators.segment.classical.morphology import Spacing, dilate, drop_small, fill_slices, open_discs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.leg_parameters import LegParameters

LEFT, RIGHT = 1, 2
"""Values of a map of sides; 0 is outside both legs."""


class LegSegmentationError(SegmentationError):
    """The volume does not hold two legs that this engine can segment."""


@dataclass(frozen=True, eq=False)
class LegSides:
    """Both legs on the working grid.

    Attributes:
        sides: LEFT, RIGHT or 0, `(slices, rows, columns)`.
        bone: Bright bone without its marrow.
        midline: Column between the legs, `(slices,)`.
    """

    sides: NDArray[np.uint8]
    bone: NDArray[np.bool_]
    midline: NDArray[np.float64]


def find_sides(hu: NDArray[np.float32], spacing_mm: Spacing, parameters: LegParameters) -> LegSides:
    """Find both legs and part them.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`; columns increase towards the patient's left.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The legs.

    Raises:
        LegSegmentationError: If there are no two legs side by side, or they cross.
    """
    body = find_legs(hu, spacing_mm, parameters)
    bone = drop_small(body & (hu > parameters.bone_hu), parameters.bone_piece_ml, spacing_mm)
    midline = find_midline(body, bone, spacing_mm, parameters)
    left_of_midline = np.arange(hu.shape[2]) > midline[:, None]
    _require_uncrossed(bone, left_of_midline, spacing_mm, parameters)
    bones = np.where(bone, np.where(left_of_midline[:, None, :], LEFT, RIGHT), 0).astype(np.uint8)
    markers = _carried_on(bones)
    sides = np.stack([_part(*planes, spacing_mm) for planes in zip(body, markers, left_of_midline, strict=True)])
    return LegSides(sides, bone, midline)


def find_legs(hu: NDArray[np.float32], spacing_mm: Spacing, parameters: LegParameters) -> NDArray[np.bool_]:
    """Find the legs: pieces of tissue that survive an opening and hold bone, filled slice by slice.

    Raises:
        LegSegmentationError: If no piece of tissue holds bone.
    """
    # The table goes before holes are filled, or the air between table and legs would count as leg.
    tissue = _with_bone(
        open_discs(hu > parameters.air_hu, parameters.table_opening_mm, spacing_mm), hu, spacing_mm, parameters
    )
    tissue = fill_slices(tissue)
    core = _with_bone(open_discs(tissue, parameters.body_opening_mm, spacing_mm), hu, spacing_mm, parameters)
    if not core.any():
        raise LegSegmentationError(
            f"No leg was found: no piece of tissue above {parameters.air_hu:g} HU holds "
            f"{parameters.bone_minimum_ml:g} ml of bone above {parameters.bone_hu:g} HU; check that this is a CT in HU."
        )
    recovered = np.stack([dilate(plane[None], parameters.body_recovery_mm, spacing_mm)[0] for plane in core])
    return fill_slices(recovered & tissue)


def find_midline(
    body: NDArray[np.bool_], bone: NDArray[np.bool_], spacing_mm: Spacing, parameters: LegParameters
) -> NDArray[np.float64]:
    """Find the column between both legs in each slice: the middle of the widest gap between bones, seen from the front.

    Where the knees nearly touch, or a leg has no bone, it runs on from its neighbours.

    Raises:
        LegSegmentationError: If too few slices have bones on both sides of a gap, or the gap is not in the middle.
    """
    gaps = [_widest_gap(plane) for plane in np.asarray(bone.any(axis=1))]
    wide = np.array([end - first for first, end in gaps]) * spacing_mm[2] >= parameters.between_legs_mm
    occupied = body.any(axis=(1, 2))
    if wide.sum() < parameters.two_legs_share * occupied.sum() or not wide.any():
        raise LegSegmentationError(
            f"Two legs side by side are needed: bones at least {parameters.between_legs_mm:g} mm apart were found in "
            f"{wide.sum()} of {occupied.sum()} slices; check that the scan shows both legs."
        )
    middles = np.array([(first + end - 1) / 2 for first, end in gaps])
    size = 2 * round(parameters.midline_mm / spacing_mm[0] / 2) + 1
    smooth = ndimage.median_filter(middles[wide], size=size, mode="nearest")
    midline = np.interp(np.arange(body.shape[0]), np.flatnonzero(wide), smooth)
    _require_centred(body, midline, parameters)
    return np.asarray(midline, dtype=np.float64)


def _require_centred(body: NDArray[np.bool_], midline: NDArray[np.float64], parameters: LegParameters) -> None:
    columns = np.asarray(body.any(axis=1))
    occupied = np.asarray(columns.any(axis=1))
    first, last = columns.argmax(axis=1), columns.shape[1] - 1 - columns[:, ::-1].argmax(axis=1)
    off = np.abs(midline - (first + last) / 2)[occupied] / (last - first + 1)[occupied]
    if np.median(off) > parameters.off_centre:
        raise LegSegmentationError(
            f"The widest gap between bones lies {np.median(off):.0%} of the width beside the middle; between two legs "
            f"it is at most {parameters.off_centre:.0%}; check that the scan shows legs."
        )


def _require_uncrossed(
    bone: NDArray[np.bool_], left_of_midline: NDArray[np.bool_], spacing_mm: Spacing, parameters: LegParameters
) -> None:
    """Refuse legs of which one bone begins on one side of the midline and ends on the other.

    Raises:
        LegSegmentationError: If there is such a bone: below it left and right would be exchanged.
    """
    end = max(1, round(parameters.crossing_end_mm / spacing_mm[0]))
    pieces, _ = ndimage.label(bone)
    for index, place in enumerate(ndimage.find_objects(pieces), start=1):
        if (place[0].stop - place[0].start) * spacing_mm[0] < parameters.crossing_bone_mm:
            continue
        piece = np.asarray(pieces[place] == index, dtype=np.bool_)
        # Left of the midline or not, for each voxel at the lower and at the upper end.
        lower, upper = (
            np.broadcast_to(left_of_midline[place[0], None, place[2]], piece.shape)[ends][piece[ends]]
            for ends in (slice(end), slice(-end, None))
        )
        if (lower.all() and not upper.any()) or (upper.all() and not lower.any()):
            raise LegSegmentationError(
                "The legs cross: a bone begins on one side of the midline and ends on the other, so that left and "
                "right are exchanged below; check how the patient lies, or measure the slices above the crossing."
            )


def _with_bone(
    tissue: NDArray[np.bool_], hu: NDArray[np.float32], spacing_mm: Spacing, parameters: LegParameters
) -> NDArray[np.bool_]:
    """Keep the face-connected components that hold bone; a table and pads hold none."""
    labels, count = ndimage.label(tissue)
    voxels = np.bincount(labels[hu > parameters.bone_hu], minlength=count + 1)
    keep = voxels * float(np.prod(spacing_mm)) / 1000.0 >= parameters.bone_minimum_ml
    keep[0] = False
    return np.asarray(keep[labels], dtype=np.bool_)


def _widest_gap(occupied: NDArray[np.bool_]) -> tuple[int, int]:
    """First free column and first occupied one behind the widest gap between occupied columns; (0, 0) without."""
    columns = np.flatnonzero(occupied)
    if columns.size < 2:
        return 0, 0
    widths = np.diff(columns)
    index = int(widths.argmax())
    return int(columns[index]) + 1, int(columns[index + 1])


def _carried_on(bones: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bones by side; where a leg has none, as above the femoral head, those of the nearest slice in which it has."""
    out = bones.copy()
    slices = np.arange(bones.shape[0])
    for side in (LEFT, RIGHT):
        held = np.flatnonzero((bones == side).any(axis=(1, 2)))
        for index in np.setdiff1d(slices, held) if held.size else ():
            nearest = held[np.abs(held - index).argmin()]
            out[index][(bones[nearest] == side) & (bones[index] == 0)] = side
    return out


def _part(
    body: NDArray[np.bool_], bones: NDArray[np.uint8], left_of_midline: NDArray[np.bool_], spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Give each piece of a slice to the leg whose bones it holds; part one that holds both where it is narrowest."""
    out = np.where(body, np.where(left_of_midline, LEFT, RIGHT), 0).astype(np.uint8)
    pieces, count = ndimage.label(body)
    for index in range(1, count + 1):
        piece = np.asarray(pieces == index, dtype=np.bool_)
        held = set(np.unique(bones[piece])) - {0}
        if len(held) == 1:
            out[piece] = held.pop()
        elif held:
            depth = ndimage.distance_transform_edt(np.pad(piece, 1), sampling=spacing_mm[1:])[1:-1, 1:-1]
            out[piece] = watershed(-depth, bones.astype(np.int32), mask=piece)[piece]
    return out
