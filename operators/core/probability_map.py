"""ProbabilityMap: how probable each segment is in each voxel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core.errors import GeometryError, SegmentationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import Algorithm, Segment


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """Probabilities on the grid of a volume, one array a segment; the arrays are read-only.

    Attributes:
        arrays: For each segment `(slices, rows, columns)`, 32 or 64 bit floating point, from 0 to 1.
        affine_lps: The grid, as in Volume.
        segments: What the arrays mean, in their order; their `labels` mean nothing here.
        algorithm: Who says so.

    Raises SegmentationError where there is not one array a segment or a value is no probability, GeometryError where
    the arrays differ in shape.
    """

    arrays: tuple[NDArray[np.floating[Any]], ...]
    affine_lps: NDArray[np.float64]
    segments: tuple[Segment, ...]
    algorithm: Algorithm

    def __post_init__(self) -> None:
        if not self.arrays or len(self.arrays) != len(self.segments):
            raise SegmentationError(
                f"there are {len(self.arrays)} arrays of probabilities, {len(self.segments)} segments"
            )
        if len({array.shape for array in self.arrays}) != 1:
            raise GeometryError(f"arrays of probabilities differ in shape: {[array.shape for array in self.arrays]}")
        for array, segment in zip(self.arrays, self.segments, strict=True):
            _require_probabilities(array, segment)
            array.flags.writeable = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows, columns."""
        return self.arrays[0].shape


def _require_probabilities(array: NDArray[np.floating[Any]], segment: Segment) -> None:
    """Look at every value of a segment.

    Raises:
        SegmentationError: If one is no probability.
    """
    if array.dtype not in (np.float32, np.float64):
        raise SegmentationError(f"probabilities of {segment.name} are {array.dtype}; they must be float32 or float64")
    lowest, highest = array.min(), array.max()
    # Not the other way round: what is no number compares as false with all.
    if not (lowest >= 0 and highest <= 1):
        raise SegmentationError(
            f"probabilities of {segment.name} reach from {lowest:g} to {highest:g}; they must lie between 0 and 1"
        )
