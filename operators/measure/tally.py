"""Tally: sums of a volume's values by label, slice by slice, so that memory stays at one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.core.found_segments import labelled_voxels
from operators.core.label_map import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.volume import Volume


def sum_labels(volume: Volume, label_map: LabelMap) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum and sum of squares of a volume's values by label, `(256,)` each; of the background, label 0, nothing."""
    sums, squares = np.zeros(LABELS), np.zeros(LABELS)
    for (inside, labels), values in zip(labelled_voxels(label_map), volume.array, strict=True):
        weights = values.reshape(-1)[inside].astype(np.float64)
        sums += np.bincount(labels, weights=weights, minlength=LABELS)
        squares += np.bincount(labels, weights=weights * weights, minlength=LABELS)
    return sums, squares
