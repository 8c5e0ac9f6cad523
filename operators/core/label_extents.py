"""LabelExtents: how many pixels each label has in each slice, and between which pixels they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from operators.core.label_map import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment


class LabelExtents:
    """Where each label begins and ends in each slice, and how often it is there; memory stays at one slice.

    Found in one pass over the runs of equal pixels: a slice has some hundred of them.

    Attributes:
        counts: `(slices, 256)`, pixels of a label, the background's as well; read-only.
        first: `(slices, 256)`, index of a label's first pixel in its slice.
        end: `(slices, 256)`, one behind the index of its last pixel; 0 where the slice does not have the label.
    """

    def __init__(self, labels: NDArray[np.uint8]) -> None:
        """Find them.

        Args:
            labels: `(slices, rows, columns)`.
        """
        size = labels[0].size
        self.counts = np.zeros((len(labels), LABELS), dtype=np.int64)
        self.first = np.full((len(labels), LABELS), size)
        self.end = np.zeros((len(labels), LABELS), dtype=np.int_)
        for plane, counts, first, end in zip(labels, self.counts, self.first, self.end, strict=True):
            flat = plane.reshape(-1)
            limits = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [size]))
            begins, ends = limits[:-1], limits[1:]
            values = flat[begins]
            counts[:] = np.bincount(values, weights=ends - begins, minlength=LABELS)
            end[values] = ends  # the last of equal indices is what stays
            first[values[::-1]] = begins[::-1]
        self.counts.flags.writeable = False

    @property
    def present(self) -> NDArray[np.bool_]:
        """`(slices, 256)`, which labels a slice has."""
        return self.end > 0

    def of(self, segment: Segment) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """`(slices,)` each: first pixel of any label of a segment, and one behind the last; 0 where there is none."""
        labels = list(segment.labels)
        return self.first[:, labels].min(axis=1), self.end[:, labels].max(axis=1)


_known: WeakKeyDictionary[LabelMap, LabelExtents] = WeakKeyDictionary()
"""Measuring, SEG and SR of one run look at the same map, which nobody can change."""


def extents_of(label_map: LabelMap) -> LabelExtents:
    """Where the labels of a map are, found once for each map."""
    if label_map not in _known:
        _known[label_map] = LabelExtents(label_map.array)
    return _known[label_map]
