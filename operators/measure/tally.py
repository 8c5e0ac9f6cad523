"""Tally: counts and sums of a label map, slice by slice, so that memory stays at one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.volume import Volume

LABELS = 256


def count_labels(label_map: LabelMap) -> NDArray[np.int64]:
    """Number of voxels by slice and label, `(slices, 256)`."""
    counts = np.zeros((len(label_map.array), LABELS), dtype=np.int64)
    for of_slice, (inside, labels) in zip(counts, _labelled(label_map), strict=True):
        of_slice += np.bincount(labels, minlength=LABELS)
        of_slice[0] = label_map.array[0].size - len(inside)
    return counts


def sum_labels(volume: Volume, label_map: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and sum of squares of a volume's values by label, `(256,)` each; of the background, label 0, nothing."""
    sums, squares = np.zeros(LABELS), np.zeros(LABELS)
    for (inside, labels), values in zip(_labelled(label_map), volume.array, strict=True):
        weights = values.reshape(-1)[inside].astype(np.float64)
        sums += np.bincount(labels, weights=weights, minlength=LABELS)
        squares += np.bincount(labels, weights=weights * weights, minlength=LABELS)
    return sums, squares


def _labelled(label_map: LabelMap) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
    """Slice by slice the indices of voxels that have a label, and their labels: most have none, and counting costs."""
    for plane in label_map.array:
        labels = plane.reshape(-1)
        # Comparing first: numpy finds the true ones among booleans five times as fast as numbers that are not 0.
        inside = np.flatnonzero(labels != 0)
        yield inside, labels[inside]
