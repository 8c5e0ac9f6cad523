"""Tally: sums of a volume's values by label, slice by slice, so that memory stays at one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.core.label_extents import extents_of
from operators.core.label_map import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.volume import Volume


def sum_labels(volume: Volume, label_map: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and sum of squares of a volume's values by label, `(256,)` each; of the background, label 0, nothing."""
    sums, squares = np.zeros(LABELS), np.zeros(LABELS)
    extents = extents_of(label_map)
    limits = zip(extents.first[:, 1:].min(axis=1), extents.end[:, 1:].max(axis=1), strict=True)
    for plane, values, (first, end) in zip(label_map.array, volume.array, limits, strict=True):
        labels = plane.reshape(-1)[first:end]
        # Comparing first: numpy finds the true ones among booleans five times as fast as numbers that are not 0.
        inside = np.flatnonzero(labels != 0)
        weights = values.reshape(-1)[first:end][inside].astype(np.float64)
        sums += np.bincount(labels[inside], weights=weights, minlength=LABELS)
        squares += np.bincount(labels[inside], weights=weights * weights, minlength=LABELS)
    return sums, squares
