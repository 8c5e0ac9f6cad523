"""Midline: the sagittal line of each slice that has half of the bone around it on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.core.errors import GeometryError
from operators.core.label_map import LABELS
from operators.core.orientation import canonical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment

WINDOW_MM = 45.0
"""Longer than a vertebra with its disc (35 to 45 mm): where a slice cuts a disc, the bone above and below counts."""


def pixels_by_column(label_map: LabelMap, segments: Sequence[Segment]) -> NDArray[np.int64]:
    """Pixels of segments in each sagittal line of each slice.

    Args:
        label_map: Axial, in whatever orientation it was stored.
        segments: The segments.

    Returns:
        `(segments, slices, columns)`: slices as stored, columns towards the patient's left.

    Raises:
        GeometryError: If the slices are not axial.
    """
    turn = canonical(label_map.affine_lps)
    if turn.order[0] != 0:
        raise GeometryError("left and right are measured in axial slices; reformat the series or choose an axial one")
    turned = turn.apply(label_map.array)
    counts = np.zeros((len(segments), *turned.shape[::2]), dtype=np.int64)
    first_of_column = LABELS * np.arange(turned.shape[2])
    for index, plane in enumerate(turned):
        # All labels of a slice in one pass: a column's counts lie one behind the other.
        found = np.bincount((plane + first_of_column).ravel(), minlength=LABELS * turned.shape[2])
        by_label = found.reshape(-1, LABELS)
        counts[:, index] = [by_label[:, list(segment.labels)].sum(axis=1) for segment in segments]
    return np.flip(counts, 1) if 0 in turn.flips else counts


def midlines(bone: NDArray[np.int64], slice_mm: float) -> NDArray[np.float64]:
    """Where the midline of each slice runs.

    Args:
        bone: `(slices, columns)`, pixels of bone, columns towards the patient's left.
        slice_mm: Distance between slices.

    Returns:
        `(slices,)`, in columns from the patient's right: the median of the bone within WINDOW_MM around the slice. NaN
        where there is none.
    """
    reach = int(WINDOW_MM / 2 / slice_mm)
    total = np.concatenate((np.zeros((1, bone.shape[1]), np.int64), bone.cumsum(axis=0)))
    slices = np.arange(len(bone))
    around = total[np.minimum(slices + reach + 1, len(bone))] - total[np.maximum(slices - reach, 0)]
    return np.array([_median(counts) for counts in around])


def left_of(counts: NDArray[np.int64], midline: float) -> float:
    """How many of the pixels of a slice lie left of its midline; the midline's own column is parted where it runs.

    Args:
        counts: `(columns,)`, towards the patient's left.
        midline: As `midlines` has it.

    Examples:
        >>> left_of(np.array([4, 4, 4]), 1.25)
        7.0
    """
    return float(counts @ np.clip(np.arange(1, len(counts) + 1) - midline, 0.0, 1.0))


def _median(counts: NDArray[np.int64]) -> float:
    """The place, in columns from the first one's edge, that has half of the pixels on either side; NaN without any."""
    before = np.concatenate(([0], counts.cumsum()))
    half = before[-1] / 2
    if not half:
        return float("nan")
    first, last = np.searchsorted(before, half, side="left"), np.searchsorted(before, half, side="right") - 1
    if first <= last:
        # Nothing lies between these edges.
        return float(first + last) / 2
    return float(last + (half - before[last]) / counts[last])
