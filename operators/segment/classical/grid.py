"""WorkGrid: block means of a volume on a coarse grid, and smooth fields of that grid back at full resolution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class WorkGrid:
    """A grid whose voxels are blocks of whole source voxels.

    Attributes:
        factors: Source voxels in a block, along slices, rows, columns.
        shape: Shape of the source.
        spacing_mm: Distance between blocks.
    """

    factors: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing_mm: Spacing

    @classmethod
    def of(cls, shape: tuple[int, ...], spacing_mm: Spacing, target_mm: float) -> WorkGrid:
        """Choose the largest blocks that are not larger than `target_mm`.

        Examples:
            >>> WorkGrid.of((40, 512, 512), (5.0, 0.8, 0.8), 3.0).factors
            (1, 3, 3)
        """
        tolerance = 1e-6
        factors = [max(1, int((target_mm + tolerance) // step)) for step in spacing_mm]
        spacing = [step * factor for step, factor in zip(spacing_mm, factors, strict=True)]
        return cls(
            (factors[0], factors[1], factors[2]),
            (shape[0], shape[1], shape[2]),
            (spacing[0], spacing[1], spacing[2]),
        )

    def reduce(self, volume: NDArray[np.generic]) -> NDArray[np.float32]:
        """Average the source over each block; a block cut by the border averages the part that is there."""
        out = np.asarray(volume, dtype=np.float32)
        for axis, factor in enumerate(self.factors):
            if factor > 1:
                out = _block_mean(out, axis, factor)
        return out

    def slice_of(self, source_slice: int) -> int:
        """Give the block slice that holds a source slice."""
        return source_slice // self.factors[0]

    def restore(self, field: NDArray[np.float32], source_slice: int) -> NDArray[np.float32]:
        """Interpolate a smooth field of the grid linearly in one slice of the source.

        Args:
            field: Values at the block centres, `(slices, rows, columns)`.
            source_slice: Slice of the source.

        Returns:
            The field in that slice, `(rows, columns)` of the source.
        """
        below, above, weight = _bracket(source_slice, self.factors[0], field.shape[0])
        plane = field[below] if weight == 0.0 else (1.0 - weight) * field[below] + weight * field[above]
        if self.factors[1] > 1:
            plane = _interpolation(self.shape[1], self.factors[1], field.shape[1]) @ plane
        if self.factors[2] > 1:
            plane = (_interpolation(self.shape[2], self.factors[2], field.shape[2]) @ plane.T).T
        return np.ascontiguousarray(plane, dtype=np.float32)


def signed_distance(mask: NDArray[np.bool_], spacing_mm: Spacing) -> NDArray[np.float32]:
    """Measure the distance to the surface of a mask in mm, positive inside, negative outside.

    The surface lies halfway between the centres of neighbouring voxels; the border of the field is no surface.
    """
    far = float(np.linalg.norm(np.multiply(mask.shape, spacing_mm)))
    if mask.all() or not mask.any():
        return np.full(mask.shape, far if mask.any() else -far, dtype=np.float32)
    half = min(spacing_mm) / 2
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return np.where(mask, inside - half, half - outside).astype(np.float32)


def _block_mean(volume: NDArray[np.float32], axis: int, factor: int) -> NDArray[np.float32]:
    starts = np.arange(0, volume.shape[axis], factor)
    sums = np.add.reduceat(volume, starts, axis=axis)
    counts = np.minimum(starts + factor, volume.shape[axis]) - starts
    shape = [1, 1, 1]
    shape[axis] = counts.size
    return np.asarray(sums / counts.reshape(shape).astype(np.float32), dtype=np.float32)


def _bracket(index: int, factor: int, size: int) -> tuple[int, int, float]:
    position = min(max((index + 0.5) / factor - 0.5, 0.0), size - 1.0)
    below = int(position)
    return below, min(below + 1, size - 1), position - below


@lru_cache(maxsize=8)
def _interpolation(source_size: int, factor: int, size: int) -> sparse.csr_array:
    """The linear map from block centres to source voxels, `(source_size, size)`: two weights a row.

    Sparse, since nearly all of a dense one is zeros, and its product takes every core that BLAS may have.
    """
    below, above, weight = zip(*(_bracket(index, factor, size) for index in range(source_size)), strict=True)
    weights = np.array([*(1.0 - np.array(weight)), *weight], dtype=np.float32)
    rows = np.tile(np.arange(source_size), 2)
    return sparse.csr_array((weights, (rows, [*below, *above])), shape=(source_size, size))
