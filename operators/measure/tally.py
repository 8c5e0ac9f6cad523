"""Tally: sums of a volume's values by label, slice by slice, so that memory stays at one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.core.label_map import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.volume import Volume


def sum_labels(volume: Volume, label_map: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and sum of squares of a volume's values by label, `(256,)` each."""
    sums, squares = np.zeros(LABELS), np.zeros(LABELS)
    for labels, values in zip(label_map.array, volume.array, strict=True):
        weights = values.ravel().astype(np.float64)
        sums += np.bincount(labels.ravel(), weights=weights, minlength=LABELS)
        squares += np.bincount(labels.ravel(), weights=weights * weights, minlength=LABELS)
    return sums, squares
