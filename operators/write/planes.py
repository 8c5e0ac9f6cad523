"""Planes: where slices lie, and the segments that were found in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.core.errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment
    from operators.core.volume import Volume

LABELS = 256
"""A label map has one byte a voxel."""


@dataclass(frozen=True, eq=False)
class FoundSegment:
    """A segment with at least one voxel.

    Attributes:
        number: Its place among those that were found, from 1: the Segment Number that it has in a SEG.
        segment: The segment.
        pixels: `(slices,)`, its pixels in each slice.
    """

    number: int
    segment: Segment
    pixels: NDArray[np.int64]

    @property
    def slices(self) -> list[int]:
        """The slices that it reaches."""
        return [int(index) for index in np.flatnonzero(self.pixels)]

    @property
    def largest_slice(self) -> int:
        """The slice in which it has most pixels; the first of several."""
        return int(self.pixels.argmax())


def found_with_pixels(label_map: LabelMap) -> tuple[FoundSegment, ...]:
    """The segments that were found, counted in one pass over the labels."""
    counts = np.stack([np.bincount(plane.ravel(), minlength=LABELS) for plane in label_map.array])
    pixels = [counts[:, sorted(set(segment.labels))].sum(axis=1) for segment in label_map.segments]
    found = [
        (segment, by_slice) for segment, by_slice in zip(label_map.segments, pixels, strict=True) if by_slice.any()
    ]
    return tuple(FoundSegment(number, *each) for number, each in enumerate(found, start=1))


def plane_of(label_map: LabelMap, segment: Segment, index: int) -> NDArray[np.bool_]:
    """`(rows, columns)`, true inside the segment in one slice."""
    table = np.zeros(LABELS, dtype=bool)
    table[list(segment.labels)] = True
    return np.asarray(table[label_map.array[index]])


def require_frame_of_reference(volume: Volume) -> None:
    """Refuse a volume whose places are in no frame: an object with coordinates in mm cannot say what they mean.

    Raises:
        GeometryError: If the source has no Frame of Reference UID (PS3.3 C.7.4.1).
    """
    if not volume.frame_of_reference_uid:
        raise GeometryError(
            "the source has no Frame of Reference UID (0020,0052), which places in mm belong to; "
            "send the images as the scanner wrote them"
        )
