"""FoundSegments: which segments of a label map were found, in which slices, and which of these are worth looking at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.core import codes
from operators.core.label_extents import extents_of
from operators.core.measurements import LARGEST_AREA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment

_OTHER_SIDE = {codes.LEFT.value: ("_right",), codes.RIGHT.value: ("_left",)}
"""Endings of the landmarks of the other side, by the laterality of a segment."""


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

    def key_slices(self, landmarks: Mapping[str, int]) -> list[tuple[str, int]]:
        """Roles and slices: that of its largest area, then those of the landmarks that it reaches, in their order.

        A landmark of one side (`femur_50_left`) is none for a segment of the other side.
        """
        places = [(LARGEST_AREA, self.largest_slice), *landmarks.items()]
        return [(role, index) for role, index in places if self.pixels[index] and not self._is_across(role)]

    def _is_across(self, landmark: str) -> bool:
        """Whether a landmark belongs to the other side of the body."""
        return self.segment.modifier is not None and landmark.endswith(_OTHER_SIDE.get(self.segment.modifier.value, ()))


def found_segments(label_map: LabelMap) -> tuple[FoundSegment, ...]:
    """The segments that were found."""
    counts = extents_of(label_map).counts
    found = segments_among(label_map.segments, counts > 0)
    pixels = (counts[:, sorted(set(segment.labels))].sum(axis=1) for segment in found)
    return tuple(FoundSegment(number, *each) for number, each in enumerate(zip(found, pixels, strict=True), start=1))


def segments_among(segments: Iterable[Segment], present: NDArray[np.bool_]) -> tuple[Segment, ...]:
    """The segments of which a map has any label.

    Args:
        segments: In their order.
        present: `(slices, 256)`, which labels a slice has.

    Returns:
        Those that were found; their Segment Number in a SEG is their place here, from 1.
    """
    return tuple(segment for segment in segments if present[:, list(segment.labels)].any())


def plane_of(label_map: LabelMap, segment: Segment, index: int) -> NDArray[np.bool_]:
    """`(rows, columns)`, true inside the segment in one slice."""
    return segment.mask_of(label_map.array[index])
