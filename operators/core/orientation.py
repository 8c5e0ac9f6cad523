"""Orientation: which way the axes of an array run in the patient.

An engine wants one orientation whatever the scanner wrote: slices towards the head, rows towards the back, columns
towards the patient's left. Only axes are swapped and flipped: no voxel is resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import Spacing

CANONICAL_LPS_AXES = (2, 1, 0)
"""Array axes 0, 1, 2 run along LPS z (head), y (back), x (left)."""


@dataclass(frozen=True)
class Orientation:
    """How an array has to be turned to run towards head, back and left.

    Attributes:
        order: Array axis that becomes axis 0, 1, 2.
        flips: Axes to flip after that.
    """

    order: tuple[int, int, int]
    flips: tuple[int, ...]

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of `(slices, rows, columns)` with axes towards head, back, left."""
        return np.flip(array.transpose(self.order), self.flips)

    def undo(self, array: NDArray[Any]) -> NDArray[Any]:
        """The inverse of apply, as a view."""
        return np.flip(array, self.flips).transpose(np.argsort(self.order))

    def apply_spacing(self, spacing_mm: Spacing) -> Spacing:
        """Spacing of the turned array, mm."""
        first, second, third = (spacing_mm[axis] for axis in self.order)
        return first, second, third


def canonical(affine_lps: NDArray[np.float64]) -> Orientation:
    """The turn that brings an array nearest to head, back, left.

    Args:
        affine_lps: `(4, 4)`, array index to mm in LPS.

    Returns:
        Axis order and flips.
    """
    directions = affine_lps[:3, :3] / np.linalg.norm(affine_lps[:3, :3], axis=0)
    order: list[int] = []
    for lps_axis in CANONICAL_LPS_AXES:
        candidates = [axis for axis in range(3) if axis not in order]
        order.append(max(candidates, key=lambda axis: abs(directions[lps_axis, axis])))
    flips = tuple(
        index
        for index, (axis, lps_axis) in enumerate(zip(order, CANONICAL_LPS_AXES, strict=True))
        if directions[lps_axis, axis] < 0
    )
    return Orientation((order[0], order[1], order[2]), flips)
