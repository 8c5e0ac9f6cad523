"""Frames of a SEG: which there are, and their pixels as the file holds them, one slice of the source at a time.

A mask is never held as a whole: a frame is cut out of the map when it is written.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from operators.core.errors import SegmentationError
from operators.core.found_segments import segments_among
from operators.core.label_extents import extents_of
from operators.core.label_map import LABELS
from operators.write.rle import encode_rle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from operators.core.label_extents import LabelExtents
    from operators.core.label_map import LabelMap, Segment
    from operators.core.probability_map import ProbabilityMap
    from operators.core.segmented_regions import Box, SegmentedRegions

MAXIMUM_FRACTIONAL_VALUE = 255
"""Maximum Fractional Value (0062,000E): what a probability of 1 is stored as."""


class Frame(NamedTuple):
    """One frame of a SEG.

    Attributes:
        segment_number: Referenced Segment Number (0062,000B), from 1; 1 in a LABELMAP, where a frame has all segments.
        slice_index: Slice of the source, from 0.
    """

    segment_number: int
    slice_index: int


class Frames(Protocol):
    """What a SEG of one Segmentation Type (0062,0001) says, frame by frame."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments that were found; their Segment Number is their place here, from 1."""

    @property
    def slices(self) -> NDArray[np.bool_]:
        """`(slices,)`, true where a slice has a place among the dimension's values (0020,9157)."""

    @property
    def overlap(self) -> str:
        """Segments Overlap (0062,0013)."""

    def order(self, slices: Sequence[int]) -> list[Frame]:
        """The frames, segment by segment, for slices in their order along the normal."""

    def pixels(self, frames: Sequence[Frame]) -> Iterator[bytes]:
        """Pixel Data (7FE0,0010) of frames, in pieces."""


def shared_labels(segments: Sequence[Segment], extents: LabelExtents) -> list[int]:
    """Labels in the map that belong to several segments: there they overlap."""
    owners = np.zeros(LABELS, dtype=np.int_)
    for segment in segments:
        owners[list(set(segment.labels))] += 1
    return [int(label) for label in np.flatnonzero((owners > 1) & extents.present.any(axis=0))]


class BinaryFrames:
    """BINARY: one bit a pixel, one frame for each slice that a segment reaches; segments may overlap."""

    def __init__(self, label_map: LabelMap) -> None:
        extents = extents_of(label_map)
        self._array = label_map.array
        self._size = label_map.array[0].size
        self.segments = segments_among(label_map.segments, extents.present)
        self._extents = [extents.of(segment) for segment in self.segments]
        self.overlap = "YES" if shared_labels(self.segments, extents) else "NO"

    @property
    def slices(self) -> NDArray[np.bool_]:
        """Slices that any segment reaches."""
        return np.asarray(np.any([end > 0 for _, end in self._extents], axis=0))

    def order(self, slices: Sequence[int]) -> list[Frame]:
        """Frames that are not empty."""
        return [
            Frame(number, index)
            for number, (_, end) in enumerate(self._extents, start=1)
            for index in slices
            if end[index]
        ]

    def pixels(self, frames: Sequence[Frame]) -> Iterator[bytes]:
        """Bits, lowest first, frames without a gap between them (PS3.5 8.1.1)."""
        size = self._size
        # As few frames at a time as end with a whole byte.
        together = 8 // math.gcd(size, 8)
        masks = np.empty((together, size), dtype=bool)
        for begin in range(0, len(frames), together):
            group = frames[begin : begin + together]
            for mask, frame in zip(masks, group, strict=False):
                self._cut(frame, mask)
            yield np.packbits(masks[: len(group)], bitorder="little").tobytes()

    def _cut(self, frame: Frame, mask: NDArray[np.bool_]) -> None:
        """Write one frame `(pixels,)` into a mask; only where the segment lies the map is looked at."""
        first, end = (limits[frame.slice_index] for limits in self._extents[frame.segment_number - 1])
        inside = slice(first, end)
        pixels = self._array[frame.slice_index].reshape(-1)[inside]
        labels = self.segments[frame.segment_number - 1].labels
        mask[:] = False
        np.equal(pixels, labels[0], out=mask[inside])
        for label in labels[1:]:
            mask[inside] |= pixels == label


class RegionFrames(BinaryFrames):
    """BINARY: regions that came as contours, each on the grid of the source, as they are; they may overlap."""

    overlap = "UNDEFINED"

    def __init__(self, regions: SegmentedRegions) -> None:
        slices, *self._matrix = regions.shape
        self._size = math.prod(self._matrix)
        found = [region for region in regions.regions if region.voxels]
        self.segments = tuple(region.segment for region in found)
        self._boxes = [region.box for region in found]
        self._extents = [self._extent(box, slices) for box in self._boxes]

    @staticmethod
    def _extent(box: Box, slices: int) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
        """Which slices a region reaches, as `LabelExtents.of` says it."""
        reached = np.zeros(slices, dtype=np.int_)
        reached[box.slices[0]] = box.mask.any(axis=(1, 2))
        return np.zeros_like(reached), reached

    def _cut(self, frame: Frame, mask: NDArray[np.bool_]) -> None:
        rows, columns = self._matrix
        mask[:] = self._boxes[frame.segment_number - 1].plane(frame.slice_index, (rows, columns)).reshape(-1)


class LabelmapFrames:
    """LABELMAP: Segment Numbers as pixels, a frame for each slice of the source, empty or not.

    Frames of empty slices are written too: without them several readers put the others into wrong places.
    """

    overlap = "NO"

    def __init__(self, label_map: LabelMap) -> None:
        extents = extents_of(label_map)
        self._array = label_map.array
        self.segments = segments_among(label_map.segments, extents.present)
        if shared := shared_labels(self.segments, extents):
            names = [segment.name for segment in self.segments if set(segment.labels) & set(shared)]
            raise SegmentationError(
                f"the segments {', '.join(names)} overlap, which a LABELMAP Segmentation cannot hold; write BINARY"
            )
        numbers = np.zeros(LABELS, dtype=np.uint8)
        for number, segment in enumerate(self.segments, start=1):
            numbers[list(segment.labels)] = number
        self._numbers = numbers.tobytes()

    @property
    def slices(self) -> NDArray[np.bool_]:
        """All."""
        return np.ones(len(self._array), dtype=bool)

    def order(self, slices: Sequence[int]) -> list[Frame]:
        """One frame a slice."""
        return [Frame(1, index) for index in slices]

    def pixels(self, frames: Sequence[Frame]) -> Iterator[bytes]:
        """One byte a pixel: its Segment Number."""
        return (self._array[frame.slice_index].tobytes().translate(self._numbers) for frame in frames)


class RleLabelmapFrames(LabelmapFrames):
    """LABELMAP, its frames encoded as RLE Lossless."""

    def pixels(self, frames: Sequence[Frame]) -> Iterator[bytes]:
        """Encoded frames."""
        matrix = self._array.shape[1:]
        return (encode_rle(np.frombuffer(plane, np.uint8).reshape(matrix)) for plane in super().pixels(frames))


class FractionalFrames:
    """FRACTIONAL: probabilities from 0 to 255, one frame for each slice in which a segment's are not all 0."""

    def __init__(self, probabilities: ProbabilityMap) -> None:
        highest = np.array([[plane.max() for plane in array] for array in probabilities.arrays])
        stored = _stored(highest) > 0
        kept = np.flatnonzero(stored.any(axis=1))
        self.segments = tuple(probabilities.segments[index] for index in kept)
        self._arrays = [probabilities.arrays[index] for index in kept]
        self._reached = stored[kept]
        self._above_zero = highest[kept] > 0
        self.overlap = "NO" if len(kept) == 1 else "UNDEFINED"

    @property
    def slices(self) -> NDArray[np.bool_]:
        """Slices in which any probability is above 0, be it stored as 0: highdicom counts them, too."""
        return np.asarray(self._above_zero.any(axis=0))

    def order(self, slices: Sequence[int]) -> list[Frame]:
        """Frames that are not empty."""
        return [
            Frame(number, index)
            for number, reached in enumerate(self._reached, start=1)
            for index in slices
            if reached[index]
        ]

    def pixels(self, frames: Sequence[Frame]) -> Iterator[bytes]:
        """One byte a pixel."""
        return (_stored(self._arrays[frame.segment_number - 1][frame.slice_index]).tobytes() for frame in frames)


def _stored(probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Stored values of probabilities, to the nearest."""
    return np.around(probabilities * float(MAXIMUM_FRACTIONAL_VALUE)).astype(np.uint8)
