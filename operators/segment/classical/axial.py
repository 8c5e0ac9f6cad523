"""Axial: an axial CT as the classical engines want it, and their answers back on the volume's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.core.errors import GeometryError
from operators.core.orientation import Orientation, canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import Spacing, Volume

AIR_HU = np.int16(-1024)
"""What an engine sees where the scanner wrote padding."""


@dataclass(frozen=True, eq=False)
class AxialCT:
    """An axial CT turned to head, back, left.

    Attributes:
        hu: Hounsfield units, `(slices, rows, columns)` towards head, back, left; air where the scanner wrote padding.
        spacing_mm: Distance between slices, rows, columns.
        turn: How it was turned.
    """

    hu: NDArray[np.int16 | np.float32]
    spacing_mm: Spacing
    turn: Orientation

    @classmethod
    def of(cls, volume: Volume) -> AxialCT:
        """Turn a volume.

        Raises:
            GeometryError: If the slices are not axial, or shifted against each other.
        """
        if volume.is_sheared:
            raise GeometryError("the stack is sheared (gantry tilt); StraightenStack brings it onto an orthogonal grid")
        turn = canonical(volume.affine_lps)
        if turn.order[0] != 0:
            raise GeometryError("the engine needs axial slices; reformat the series or choose an axial one")
        # Whatever number stands for "no data": the engine sees air there, and labels nothing.
        values = volume.array if volume.padding is None else np.where(volume.padding, AIR_HU, volume.array)
        return cls(turn.apply(values), turn.apply_spacing(volume.spacing_mm), turn)

    def labels_back(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels on this array as labels on the volume's."""
        return np.ascontiguousarray(self.turn.undo(labels))

    def slice_back(self, index: int) -> int:
        """A slice of this array as a slice of the volume's."""
        return self.hu.shape[0] - 1 - index if 0 in self.turn.flips else index
