"""RestoreGrid: bring labels that were made on another grid back onto the grid of the source."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SAME_PLACE = 1e-6
"""Voxels: a source voxel so close to the border of two voxels lies on it, and takes the one with the lower index."""


class RestoreGrid(Step):
    """Give each voxel of the source the label of the voxel that it lies in on another grid.

    The other grid may be coarser or finer, turned, cut, or that of a straightened stack (`StraightenStack`): wherever
    its affine says. No label is mixed or made up; a voxel of the source outside the other grid has none. What is
    measured and written is what came back: volumes are those of the labels on the source's grid.

    Named Input:
        volume: Volume, the source.
        work_labels: LabelMap on any grid in the source's frame of reference.

    Named Output:
        label_map: LabelMap on the source's grid, its landmarks in the source's slices.

    Raises GeometryError where labels are on a grid without extent, none of them lies on the source, or landmarks are in
    slices that are not parallel to the source's.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "work_labels")
    output: ClassVar[str] = "label_map"
    share: ClassVar[float] = 2.0

    def process(self, volume: Volume, work_labels: LabelMap) -> LabelMap:
        """Bring back."""
        return restore_grid(volume, work_labels, lambda done, total: self.report(done / total))


def restore_grid(volume: Volume, work_labels: LabelMap, on_slice: Callable[[int, int], None] | None = None) -> LabelMap:
    """Labels of another grid on the grid of a volume, by nearest neighbour.

    Args:
        volume: The source.
        work_labels: Labels on the other grid.
        on_slice: Called after each slice with the number of slices done and in all.

    Returns:
        The labels; the input where its grid is the source's.

    Raises:
        GeometryError: If the grids cannot be brought together.
    """
    to_work = _indices_of(work_labels.affine_lps, volume.affine_lps)
    if work_labels.shape == volume.array.shape and np.abs(to_work - np.eye(4)).max() < SAME_PLACE:
        return work_labels
    labels = np.zeros(volume.array.shape, dtype=np.uint8)
    for index, plane in enumerate(labels):
        _fill(plane, work_labels.array, to_work, index)
        if on_slice is not None:
            on_slice(index + 1, len(labels))
    if work_labels.array.any() and not labels.any():
        raise GeometryError("no label lies on the source: the labels are of another place; check their affine")
    landmarks = {name: _slice_of(at, work_labels, volume) for name, at in work_labels.landmarks.items()}
    return dataclasses.replace(work_labels, array=labels, affine_lps=volume.affine_lps, landmarks=landmarks)


def _indices_of(work: NDArray[np.float64], source: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(4, 4)`, from an index of the source to the place on the other grid, in its indices.

    Raises:
        GeometryError: If the other grid has no extent along an axis.
    """
    if np.linalg.matrix_rank(work[:3, :3]) < 3:
        raise GeometryError("the labels lie on a grid without extent along an axis; give them an affine of three axes")
    return np.asarray(np.linalg.solve(work, source))


def _fill(plane: NDArray[np.uint8], work: NDArray[np.uint8], to_work: NDArray[np.float64], index: int) -> None:
    """Write the labels of one slice of the source `(rows, columns)`."""
    rows, columns = (np.arange(size) for size in plane.shape)
    nearest, inside = [], np.ones((1, 1), dtype=bool)
    for (along_slice, along_row, along_column, origin), size in zip(to_work[:3], work.shape, strict=True):
        place = np.full((1, 1), along_slice * index + origin)
        # An axis that does not change the place is left out: most grids are parallel, and a row or a column is enough.
        for step, indices in ((along_row, rows[:, np.newaxis]), (along_column, columns[np.newaxis])):
            if abs(step) * indices.size > SAME_PLACE:
                place = place + step * indices
        voxel = np.ceil(place - 0.5 - SAME_PLACE).astype(np.intp)
        inside = inside & (voxel >= 0) & (voxel < size)
        nearest.append(voxel.clip(0, size - 1))
    np.copyto(plane, work[tuple(nearest)], where=inside)


def _slice_of(index: int, work_labels: LabelMap, volume: Volume) -> int:
    """The slice of the source nearest to a slice of the other grid.

    Raises:
        GeometryError: If they are not parallel.
    """
    to_source = _indices_of(volume.affine_lps, work_labels.affine_lps)[0]
    _, rows, columns = work_labels.shape
    if max(abs(to_source[1]) * rows, abs(to_source[2]) * columns) > 1:
        raise GeometryError("a landmark lies in a slice that is not parallel to the source's; find it on those")
    centre = to_source @ (index, (rows - 1) / 2, (columns - 1) / 2, 1)
    return int(np.clip(np.rint(centre), 0, len(volume.array) - 1))
