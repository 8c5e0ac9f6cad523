"""segment_legs: bone, subcutaneous and intermuscular fat and skeletal muscle of both legs of a CT, without weights.

Legs, sides and landmarks are found on a coarse grid; tissues are classified slice by slice at full resolution. The
fascia is the surface of the muscles and bones of a slice, closed over the fat planes between them: fat outside is
subcutaneous, fat inside is intermuscular.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.body import find_skin
from operators.segment.classical.femur import Femur, find_femur, find_knee, find_pelvis
from operators.segment.classical.grid import WorkGrid
from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.leg_sides import LEFT, RIGHT, LegSides, find_sides
from operators.segment.classical.morphology import (
    Spacing,
    close_disc,
    disc_footprint,
    drop_small,
    fill_holes,
    fill_slices,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDES = {"left": LEFT, "right": RIGHT}


class LegTissue(IntEnum):
    """Values of the label map in the left leg; in the right one they are `RIGHT_LEG` higher. 0 is everything else."""

    BONE = 1
    SAT = 2
    IMAT = 3
    MUSCLE = 4


RIGHT_LEG = 4


@dataclass(frozen=True, eq=False)
class LegSegmentation:
    """Tissues of both legs.

    Attributes:
        labels: `(slices, rows, columns)`: a `LegTissue`, `RIGHT_LEG` higher in the right leg; 0 outside and for skin.
        femora: Complete femora by side, on the axis of the slices.
        pelvis_slice: Lowest slice that shows the pelvis, None without; from there up nothing is labelled.
    """

    labels: NDArray[np.uint8]
    femora: Mapping[str, Femur] = field(default_factory=dict)
    pelvis_slice: int | None = None


def segment_legs(
    hu: NDArray[np.int16 | np.float32],
    spacing_mm: Spacing,
    parameters: LegParameters = LegParameters(),  # noqa: B008 - frozen
    progress: Callable[[float, str], None] | None = None,
) -> LegSegmentation:
    """Segment the tissues of both legs.

    Args:
        hu: Hounsfield units, `(slices, rows, columns)`; slices increase towards the head, rows towards posterior,
            columns towards the patient's left. It is not changed.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.
        progress: Called with the fraction done and the step that begins.

    Returns:
        Labels on the grid of `hu`, with the femora and the pelvis.

    Raises:
        LegSegmentationError: If the volume does not hold two legs side by side.
    """
    report = progress or _silent
    report(0.0, "legs")
    grid = WorkGrid.of(hu.shape, spacing_mm, parameters.work_spacing_mm)
    legs = find_sides(grid.reduce(hu), grid.spacing_mm, parameters)
    report(0.3, "landmarks")
    femora, pelvis = _landmarks(legs, grid, parameters)
    report(0.4, "tissues")
    labels = np.zeros(hu.shape, dtype=np.uint8)
    end = hu.shape[0] if pelvis is None else pelvis
    near_bone = np.asarray(ndimage.binary_dilation(legs.bone, np.ones((3, 3, 3), dtype=np.bool_)), dtype=np.bool_)
    for index in range(end):
        work = grid.slice_of(index)
        for side in SIDES.values():
            leg = legs.sides[work] == side
            if leg.any():
                _label_leg(labels[index], hu[index], grid, (leg, near_bone[work]), side, spacing_mm, parameters)
        if index % 16 == 0:
            report(0.4 + 0.6 * index / end, "tissues")
    report(1.0, "done")
    return LegSegmentation(labels, femora, pelvis)


def part_tissues(
    tissues: NDArray[np.uint8],
    hu: NDArray[np.int16 | np.float32],
    spacing_mm: Spacing,
    parameters: LegParameters = LegParameters(),  # noqa: B008 - frozen
) -> LegSegmentation:
    """Give tissues that somebody else found, without a side, to the left and to the right leg.

    Args:
        tissues: A `LegTissue` or 0 a voxel, `(slices, rows, columns)`, turned as `segment_legs` wants it.
        hu: Hounsfield units, as `segment_legs` wants them.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The same tissues by leg, with the femora and the pelvis.

    Raises:
        LegSegmentationError: If the volume does not hold two legs side by side.
    """
    grid = WorkGrid.of(hu.shape, spacing_mm, parameters.work_spacing_mm)
    legs = find_sides(grid.reduce(hu), grid.spacing_mm, parameters)
    femora, pelvis = _landmarks(legs, grid, parameters)
    labels = np.zeros(tissues.shape, dtype=np.uint8)
    for index in range(hu.shape[0] if pelvis is None else pelvis):
        for side in SIDES.values():
            leg = _upsample(legs.sides[grid.slice_of(index)] == side, grid, tissues.shape[1:])
            inside = leg & (tissues[index] > 0)
            labels[index][inside] = tissues[index][inside] + (RIGHT_LEG if side == RIGHT else 0)
    return LegSegmentation(labels, femora, pelvis)


def _silent(_fraction: float, _step: str) -> None:
    """Report nothing."""


def _landmarks(legs: LegSides, grid: WorkGrid, parameters: LegParameters) -> tuple[dict[str, Femur], int | None]:
    """Complete femora by side and the lowest slice of the pelvis, as slices of the source."""
    factor, spacing_mm = grid.factors[0], grid.spacing_mm
    bones = {name: legs.bone & (legs.sides == side) for name, side in SIDES.items()}
    knees = {name: find_knee(fill_slices(bone), spacing_mm, parameters) for name, bone in bones.items()}
    found = {
        name: find_femur(bones[name], knee, spacing_mm, parameters) for name, knee in knees.items() if knee is not None
    }
    femora = {
        name: Femur(*((place + 0.5) * factor - 0.5 for place in (femur.knee, femur.top)))
        for name, femur in found.items()
        if femur is not None
    }
    highest = max((knee for knee in knees.values() if knee is not None), default=None)
    pelvis = find_pelvis(legs, highest, spacing_mm, parameters)
    return femora, None if pelvis is None else pelvis * factor


def _label_leg(
    labels: NDArray[np.uint8],
    hu: NDArray[np.int16 | np.float32],
    grid: WorkGrid,
    work: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    side: int,
    spacing_mm: Spacing,
    parameters: LegParameters,
) -> None:
    """Write the tissues of one leg in one slice into `labels`.

    Args:
        labels: Labels of the slice, `(rows, columns)` of the source.
        hu: Its values.
        grid: Working grid.
        work: The leg and the surroundings of bone on the working grid.
        side: LEFT or RIGHT.
        spacing_mm: Distance between slices, rows, columns of the source.
        parameters: Constants of the engine.
    """
    box = tuple(
        slice(int(found[0]) * factor, min((int(found[-1]) + 1) * factor, size))
        for found, factor, size in zip(
            (np.flatnonzero(work[0].any(axis=1)), np.flatnonzero(work[0].any(axis=0))),
            grid.factors[1:],
            hu.shape,
            strict=True,
        )
    )
    leg, near_bone = (_upsample(mask, grid, hu.shape)[box] for mask in work)
    values = hu[box]
    body = fill_holes(leg & (values > parameters.air_hu))
    tissues = classify_leg(values, body, near_bone, spacing_mm, parameters)
    view = labels[box]
    inside = tissues > 0
    view[inside] = tissues[inside] + (RIGHT_LEG if side == RIGHT else 0)


def classify_leg(
    hu: NDArray[np.int16 | np.float32],
    body: NDArray[np.bool_],
    near_bone: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: LegParameters,
) -> NDArray[np.uint8]:
    """Classify the pixels of one slice of one leg.

    Args:
        hu: Hounsfield units, `(rows, columns)`.
        body: The leg with its skin.
        near_bone: Where bright pixels are bone, not calcified arteries.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        A `LegTissue` a pixel, 0 outside and for skin.
    """
    bone = find_leg_bone(hu, body & near_bone, spacing_mm, parameters)
    below_skin, below_surface = (
        body & ~find_skin(body, *spacing_mm[1:], depth_mm) for depth_mm in (parameters.skin_mm, parameters.surface_mm)
    )
    deep = find_leg_fascia(hu, below_skin, bone, spacing_mm, parameters)
    fat = (hu >= parameters.fat_low_hu) & (hu <= parameters.fat_high_hu)
    muscle = (hu >= parameters.muscle_low_hu) & (hu <= parameters.muscle_high_hu)
    out = np.zeros(hu.shape, dtype=np.uint8)
    # Below its surface the skin is too bright to be fat.
    out[below_surface & ~deep & fat] = LegTissue.SAT
    out[deep & fat] = LegTissue.IMAT
    out[deep & muscle] = LegTissue.MUSCLE
    out[bone] = LegTissue.BONE
    return out


def find_leg_bone(
    hu: NDArray[np.int16 | np.float32],
    where: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: LegParameters,
) -> NDArray[np.bool_]:
    """Find bone with its marrow in one slice: bright pixels, and what they enclose."""
    bright = where & (hu > parameters.bone_hu)
    footprint = _disc(parameters.bone_closing_mm, spacing_mm)
    closed = np.asarray(ndimage.binary_closing(bright, footprint), dtype=np.bool_)
    # The closing is there to enclose the marrow; what it added elsewhere is taken off again.
    marrow = fill_holes(closed) & ~closed
    return bright | np.asarray(ndimage.binary_dilation(marrow, footprint, mask=closed | marrow), dtype=np.bool_)


def find_leg_fascia(
    hu: NDArray[np.int16 | np.float32],
    below_skin: NDArray[np.bool_],
    bone: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: LegParameters,
) -> NDArray[np.bool_]:
    """Find what lies inside the fascia in one slice: muscles and bones, closed over the fat between them."""
    soft = below_skin & ((hu > parameters.soft_hu) | bone)
    footprint = _disc(parameters.soft_opening_mm, spacing_mm)
    opened = np.asarray(ndimage.binary_opening(soft, footprint), dtype=np.bool_)
    # In one slice a ml is 10 cm2 for each mm of thickness.
    muscles = drop_small(opened[None], parameters.soft_piece_cm2 * spacing_mm[0] / 10.0, spacing_mm)
    closed = fill_holes(close_disc(muscles, parameters.fascia_closing_mm, spacing_mm)[0])
    # Corners of muscles that the opening took lie at the surface that the rest gives.
    attached = np.asarray(ndimage.binary_dilation(closed, footprint), dtype=np.bool_) & soft
    return below_skin & (closed | attached)


def _disc(radius_mm: float, spacing_mm: Spacing) -> NDArray[np.bool_]:
    """A disc of at least one pixel around its middle."""
    return disc_footprint(max(radius_mm, 1.001 * max(spacing_mm[1:])), *spacing_mm[1:])


def _upsample(mask: NDArray[np.bool_], grid: WorkGrid, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A mask of one slice of the working grid on the source's `(rows, columns)`."""
    rows, columns = grid.factors[1:]
    return mask.repeat(rows, axis=0)[: shape[0]].repeat(columns, axis=1)[:, : shape[1]]
