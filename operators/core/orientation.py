"""Orientation: which way the axes of an array run in the patient.

An engine wants one orientation whatever the scanner wrote: slices towards the head, rows towards the back, columns
towards the patient's left. Only axes are swapped and flipped: no voxel is resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core.patient_ends import AS_STORED, CANONICAL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import Spacing

LPS_END = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""Axis of LPS that runs to or from each end, and which of both."""


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

    def apply_affine(self, affine_lps: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.float64]:
        """Affine of the turned array; `shape` is the array's before."""
        turned = affine_lps[:, [*self.order, 3]].copy()
        for axis in self.flips:
            turned[:, 3] += turned[:, axis] * (shape[self.order[axis]] - 1)
            turned[:, axis] *= -1
        return turned

    def apply_spacing(self, spacing_mm: Spacing) -> Spacing:
        """Spacing of the turned array, mm."""
        first, second, third = (spacing_mm[axis] for axis in self.order)
        return first, second, third


def canonical(affine_lps: NDArray[np.float64], towards: str = CANONICAL) -> Orientation:
    """The turn that brings an array nearest to an orientation; without one, to head, back, left.

    Args:
        affine_lps: `(4, 4)`, array index to mm in LPS.
        towards: The ends that columns, rows and slices have to run to, in that order, as nibabel's axis codes say it:
            LPS, RAS; or AS_STORED.

    Returns:
        Axis order and flips.
    """
    if towards == AS_STORED:
        return Orientation((0, 1, 2), ())
    directions = affine_lps[:3, :3] / np.linalg.norm(affine_lps[:3, :3], axis=0)
    ends = [LPS_END[end] for end in reversed(towards)]
    order: list[int] = []
    for lps_axis, _ in ends:
        candidates = [axis for axis in range(3) if axis not in order]
        order.append(max(candidates, key=lambda axis: abs(directions[lps_axis, axis])))
    flips = tuple(
        index
        for index, (axis, (lps_axis, sign)) in enumerate(zip(order, ends, strict=True))
        if directions[lps_axis, axis] * sign < 0
    )
    return Orientation((order[0], order[1], order[2]), flips)
