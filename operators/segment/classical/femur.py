"""Femur: where it begins and ends in a leg, and where the pelvis begins beside it, on the working grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.leg_parameters import LegParameters
    from operators.segment.classical.leg_sides import LegSides
    from operators.segment.classical.morphology import Spacing


@dataclass(frozen=True)
class Femur:
    """A complete femur, by places on the axis of the slices: slice index, 0.0 in the middle of slice 0.

    Attributes:
        knee: The knee joint.
        top: The upper end of the head.
    """

    knee: float
    top: float

    def at(self, fraction: float) -> float:
        """The place at a fraction of its length, from the knee upwards."""
        return self.knee + fraction * (self.top - self.knee)


def find_femur(bone: NDArray[np.bool_], knee: float, spacing_mm: Spacing, parameters: LegParameters) -> Femur | None:
    """Find the upper end of the femur of one leg.

    The femur is the largest piece of bone above the knee, and complete where it ends below the last slice in a round
    head.

    Args:
        bone: Bright bone of one leg, `(slices, rows, columns)`, slices towards the head. Not filled: the space of a hip
            joint that the acetabulum encloses would join both bones.
        knee: Slice index of its knee joint.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The femur, or None where it is not complete in the field or its upper end is not recognised.
    """
    above = bone[round(knee) :]
    pieces, count = ndimage.label(above)
    if count == 0:
        return None
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    femur = np.asarray(pieces == sizes.argmax(), dtype=np.bool_)
    last = int(np.flatnonzero(femur.any(axis=(1, 2)))[-1])
    length_mm = (last + 0.5 + round(knee) - knee) * spacing_mm[0]
    plausible = parameters.femur_shortest_mm <= length_mm <= parameters.femur_longest_mm
    if last == above.shape[0] - 1 or not plausible or not _ends_in_head(femur, last, spacing_mm, parameters):
        return None
    return Femur(knee, round(knee) + last + 0.5)


def find_knee(filled: NDArray[np.bool_], spacing_mm: Spacing, parameters: LegParameters) -> float | None:
    """Find the knee joint: the dip of the bone's section between two slices of large section.

    Args:
        filled: Bone with its marrow, `(slices, rows, columns)`.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Slice index of the middle of the joint, or None where there is no such dip.
    """
    area_cm2 = filled.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2] / 100.0
    reach = max(1, round(parameters.knee_reach_mm / spacing_mm[0]))
    padded = np.pad(area_cm2, reach)
    windows = np.lib.stride_tricks.sliding_window_view(padded, reach)
    below, above = windows[: area_cm2.size].max(axis=1), windows[reach + 1 :].max(axis=1)
    lower = np.minimum(below, above)
    dip = np.where(lower >= parameters.knee_bone_cm2, area_cm2 / np.maximum(lower, 1e-9), np.inf)
    lowest = int(dip.argmin())
    if dip[lowest] > parameters.knee_dip:
        return None
    # The joint space may take several slices: its middle.
    spaces, _ = ndimage.label(dip <= dip[lowest] + 0.1)
    space = np.flatnonzero(spaces == spaces[lowest])
    return float(space[0] + space[-1]) / 2


def find_pelvis(legs: LegSides, knee: float | None, spacing_mm: Spacing, parameters: LegParameters) -> int | None:
    """Find the lowest slice that shows the pelvis: bone at the midline, or a second bone beside the upper femur.

    Args:
        legs: Both legs.
        knee: Slice index of a knee joint, None where there is none.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The slice, or None where no pelvis is in the field.
    """
    slices = legs.bone.shape[0]
    near = np.abs(np.arange(legs.bone.shape[2]) - legs.midline[:, None]) * spacing_mm[2] < parameters.pelvis_midline_mm
    at_midline = (legs.bone & near[:, None, :]).sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2] / 100.0
    lowest_above = parameters.pelvis_above * slices
    if knee is not None:
        lowest_above = knee + parameters.pelvis_above_knee_mm / spacing_mm[0]
    found = [int(index) for index in np.flatnonzero(at_midline >= parameters.pelvis_bone_cm2) if index >= lowest_above]
    pieces, _ = ndimage.label(legs.bone)
    volumes = np.bincount(pieces.ravel()) * float(np.prod(spacing_mm)) / 1000.0
    for index, place in enumerate(ndimage.find_objects(pieces), start=1):
        if volumes[index] >= parameters.pelvis_piece_ml and place[0].start >= lowest_above:
            found.append(int(place[0].start))
    return min(found, default=None)


def _ends_in_head(femur: NDArray[np.bool_], last: int, spacing_mm: Spacing, parameters: LegParameters) -> bool:
    """Whether the section a little below the top is as round and as wide as a femoral head."""
    plane = femur[max(0, last - round(parameters.head_below_top_mm / spacing_mm[0]))]
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    sides = (rows[-1] - rows[0] + 1) * spacing_mm[1], (columns[-1] - columns[0] + 1) * spacing_mm[2]
    in_range = parameters.head_narrowest_mm <= min(sides) and max(sides) <= parameters.head_widest_mm
    return bool(in_range and max(sides) <= parameters.head_aspect * min(sides))
