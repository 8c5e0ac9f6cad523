"""Pixels: from the frames of a volume to one array of Modality LUT values.

Each file is read once, by several threads, and each slice goes straight into its place in the array.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from operators.core.decoding import decode, decode_colour
from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.header import PARSE_ERRORS, read_numbers, read_text
from operators.core.modality import padding_of, transform_of
from operators.core.series_checks import is_colour
from operators.core.stored_pixels import explained, read_frames, require_pixels, undecodable
from operators.core.volume import SourceSlice, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray

    from operators.core.frames import Frame
    from operators.core.geometry import VolumeGeometry
    from operators.core.reading import Instance
    from operators.core.stored_pixels import Bytes

T = TypeVar("T")
LARGEST_VOLUME_BYTES = 2**33
"""No scan has more; a header that asks for more is damaged or hostile."""


def read_volume(geometry: VolumeGeometry, on_slice: Callable[[int, int], None] | None = None) -> Volume:
    """Decode the pixels of a volume into one array.

    Each slice has its own Modality LUT (PS3.3 C.11.1). The array is int16 where every value is a whole number that
    fits, as in CT as scanners write it, and float32 otherwise (float64 for 32 stored bits): nothing wraps, nothing is
    truncated.

    Args:
        geometry: A volume on an even grid.
        on_slice: Called after each slice with the number of slices done and in all, from any thread.

    Returns:
        The volume, its slices ordered along the normal.

    Raises:
        InputRefused: If the volume has no grid, or the pixels of an instance cannot be decoded.
    """
    if geometry.affine_lps is None:
        raise InputRefused(geometry.findings)
    return volume_of(geometry, _read_gray(geometry, np.float32, on_slice))


def volume_of(geometry: VolumeGeometry, read: SliceValues) -> Volume:
    """A volume of its grid and its values.

    Args:
        geometry: A volume on an even grid.
        read: The values of its slices.

    Returns:
        The volume.

    Raises:
        InputRefused: If the volume has no grid.
    """
    if geometry.affine_lps is None:
        raise InputRefused(geometry.findings)
    slices = tuple(
        SourceSlice(frame.instance.path, frame.header, digest, frame.number)
        for frame, digest in zip(geometry.frames, read.digests, strict=True)
    )
    frame_of_reference = read_text(geometry.frames[0].header, "FrameOfReferenceUID")
    return Volume(read.array, geometry.affine_lps.copy(), frame_of_reference, slices, read.padding)


def read_values(geometry: VolumeGeometry) -> NDArray[Any]:
    """Decode frames that need not make a volume: irregular stacks, two-dimensional images, colour.

    Args:
        geometry: Frames of one matrix.

    Returns:
        `(frames, rows, columns)` after the Modality LUT, in the order of the frames, float64 where int16 does not
        hold it; `(frames, rows, columns, 3)`, RGB, for images in colour.

    Raises:
        InputRefused: If they have no common matrix, or cannot be decoded.
    """
    if geometry.shape is None:
        raise InputRefused(geometry.findings)
    if any(map(is_colour, geometry.frames)):
        return _read_colour(geometry)
    return _read_gray(geometry, np.float64).array


@dataclass(frozen=True, eq=False)
class SliceValues:
    """The values of slices.

    Attributes:
        array: `(slices, rows, columns)` after the Modality LUT.
        padding: As in Volume.
        digests: `pixel_sha256` of each slice.
    """

    array: NDArray[Any]
    padding: NDArray[np.bool_] | None
    digests: list[str]


@dataclass(frozen=True, eq=False)
class KnownSlice:
    """One slice that need not be decoded any more.

    Attributes:
        values: `(rows, columns)` after the Modality LUT.
        padding: True where the scanner wrote padding; None where it wrote none.
        pixel_sha256: As in SourceSlice.
    """

    values: NDArray[Any]
    padding: NDArray[np.bool_] | None
    pixel_sha256: str


class _Reading:
    """A volume while its slices come in, from several threads."""

    def __init__(self, shape: tuple[int, int, int], dtype: DTypeLike) -> None:
        self.array: NDArray[Any] = np.empty(shape, dtype=dtype)
        self.digests = [""] * shape[0]
        self.padding: NDArray[np.bool_] | None = None
        self.done = 0
        self.lock = threading.Lock()

    def put(self, index: int, frame: Frame, stored: NDArray[Any], digest: str) -> None:
        """One slice: its values into the array, its padding into the mask.

        Raises:
            ValueError: If the picture has another matrix than the volume.
            _NotInt16: If int16 does not hold its values.
        """
        if stored.shape != self.array.shape[1:]:
            raise ValueError(f"the picture is {stored.shape}, the volume {self.array.shape[1:]}")
        transform = transform_of(frame.header)
        values = transform.looked_up(stored)
        if self.array.dtype == np.int16 and not transform.fits_int16(values):
            raise _NotInt16
        transform.apply(values, self.array[index])
        self.digests[index] = digest
        limits = padding_of(frame.header, signed=stored.dtype.kind == "i")
        if limits is not None and (mask := between(stored, limits)).any():
            self._put_padding(index, mask)

    def take(self, index: int, known: KnownSlice) -> None:
        """One slice as it is."""
        self.array[index] = known.values
        self.digests[index] = known.pixel_sha256
        self.done += 1
        if known.padding is not None:
            self._put_padding(index, known.padding)

    def _put_padding(self, index: int, mask: NDArray[np.bool_]) -> None:
        with self.lock:
            if self.padding is None:
                self.padding = np.zeros(self.array.shape, dtype=np.bool_)
        self.padding[index] = mask

    def count(self, slices: int, on_slice: Callable[[int, int], None] | None) -> None:
        """Say how far it is."""
        with self.lock:
            self.done += slices
            if on_slice is not None:
                on_slice(self.done, len(self.digests))


def between(stored: NDArray[Any], limits: tuple[int, int]) -> NDArray[np.bool_]:
    """Which stored values lie within limits, both included."""
    low, high = limits
    return np.asarray(stored == low) if low == high else np.asarray((stored >= low) & (stored <= high))


def _read_gray(
    geometry: VolumeGeometry, floating: DTypeLike, on_slice: Callable[[int, int], None] | None = None
) -> SliceValues:
    """In int16 while everything fits, else once more in a type that is wide enough: never two arrays at once."""
    many = any(map(many_bits, geometry.frames))
    wide = np.float64 if many else floating
    forward = None if on_slice is None else _only_forward(on_slice)
    if not many and all(map(_is_whole, geometry.frames)):
        with contextlib.suppress(_NotInt16):
            return _fill(geometry, np.int16, forward)
    return _fill(geometry, wide, forward)


def _only_forward(on_slice: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The same, without what was said before: a volume that is read once more does not go back."""
    reached = 0

    def tell(done: int, total: int) -> None:
        nonlocal reached
        if done > reached:
            reached = done
            on_slice(done, total)

    return tell


class _NotInt16(Exception):
    """A value is beyond int16."""


def _fill(geometry: VolumeGeometry, dtype: DTypeLike, on_slice: Callable[[int, int], None] | None) -> SliceValues:
    assert geometry.shape is not None  # both callers looked
    _require_size(geometry, np.dtype(dtype).itemsize)
    _require_plausible(geometry)
    reading = _Reading(geometry.shape, dtype)
    _read_frames(reading, list(enumerate(geometry.frames)), on_slice)
    return SliceValues(reading.array, reading.padding, reading.digests)


def read_missing(
    geometry: VolumeGeometry, known: Mapping[int, KnownSlice], on_slice: Callable[[int, int], None] | None = None
) -> SliceValues | None:
    """Decode the slices of a volume whose values are not known; equal to decoding all.

    Args:
        geometry: A volume on an even grid.
        known: Values by index of the slice, at least one, all of one type.
        on_slice: As in `read_volume`.

    Returns:
        All slices in the type of the known ones; None where that type is not the volume's.

    Raises:
        InputRefused: If the pixels of an instance cannot be decoded.
    """
    assert geometry.shape is not None  # it has a grid
    dtype = next(iter(known.values())).values.dtype
    missing = [(index, frame) for index, frame in enumerate(geometry.frames) if index not in known]
    if any(many_bits(frame) or (dtype == np.int16 and not _is_whole(frame)) for _, frame in missing):
        return None
    _require_size(geometry, dtype.itemsize)
    _require_plausible(geometry)
    reading = _Reading(geometry.shape, dtype)
    for index, one in known.items():
        reading.take(index, one)
    try:
        _read_frames(reading, missing, None if on_slice is None else _only_forward(on_slice))
    except _NotInt16:
        return None
    return SliceValues(reading.array, reading.padding, reading.digests)


def _read_frames(
    reading: _Reading, frames: Sequence[tuple[int, Frame]], on_slice: Callable[[int, int], None] | None
) -> None:
    """Decode frames into their places, by several threads."""
    work = deque(by_instance(frames))

    def read_on() -> None:
        try:
            while (one := _next(work)) is not None:
                _read_instance(reading, *one, on_slice)
        except BaseException:
            work.clear()  # the others end after the instance that they are at
            raise

    threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        for task in [pool.submit(read_on) for _ in range(threads)]:
            task.result()


def _next(work: deque[T]) -> T | None:
    """The next piece of work, for one thread alone; None where none is left."""
    try:
        return work.popleft()
    except IndexError:
        return None


def by_instance(
    frames: Iterable[tuple[int, Frame]],
) -> Iterable[tuple[Instance, dict[int, list[tuple[int, Frame]]]]]:
    """For each instance its pictures, by Frame Number, each with the slices that it holds, by index."""
    found: dict[int, tuple[Instance, dict[int, list[tuple[int, Frame]]]]] = {}
    for index, frame in frames:
        _, pictures = found.setdefault(id(frame.instance), (frame.instance, defaultdict(list)))
        pictures[frame.number].append((index, frame))
    return found.values()


def _read_instance(
    reading: _Reading,
    instance: Instance,
    pictures: dict[int, list[tuple[int, Frame]]],
    on_slice: Callable[[int, int], None] | None,
) -> None:
    """Decode the pictures of one instance and put their slices into the array.

    Raises:
        InputRefused: If they cannot be decoded.
    """
    for number, picture, stored in read_pictures(instance, sorted(pictures)):
        digest = hashlib.sha256(stored).hexdigest()
        try:
            for index, frame in pictures[number]:
                reading.put(index, frame, cut(picture, frame), digest)
        except (*PARSE_ERRORS, RuntimeError) as error:
            raise InputRefused([undecodable(instance, explained(error))]) from error
        reading.count(len(pictures[number]), on_slice)


def read_pictures(instance: Instance, wanted: Sequence[int]) -> Iterator[tuple[int, NDArray[Any], Bytes]]:
    """Read and decode gray pictures of an instance.

    Args:
        instance: The instance.
        wanted: Frame Numbers, ascending.

    Yields:
        Frame Number, stored values `(rows, columns)`, and the bytes that they came from, good until the next.

    Raises:
        InputRefused: If they cannot be decoded.
    """
    for number, stored in read_frames(instance, wanted):
        try:
            picture = decode(stored, instance)
        except (*PARSE_ERRORS, RuntimeError) as error:
            raise InputRefused([undecodable(instance, explained(error))]) from error
        yield number, picture, stored


def cut(picture: NDArray[Any], frame: Frame) -> NDArray[Any]:
    """The frame's part of its picture: all of it, or a tile."""
    tile = frame.tile
    if tile is None:
        return picture
    return picture[tile.row : tile.row + tile.rows, tile.column : tile.column + tile.columns]


def _read_colour(geometry: VolumeGeometry) -> NDArray[Any]:
    assert geometry.shape is not None  # the caller looked
    _require_size(geometry, 3)
    _require_plausible(geometry)
    array = np.empty((*geometry.shape, 3), dtype=np.uint8)
    for instance, pictures in by_instance(enumerate(geometry.frames)):
        for number, stored in read_frames(instance, sorted(pictures)):
            try:
                array[pictures[number][0][0]] = decode_colour(stored, instance)
            except (*PARSE_ERRORS, RuntimeError) as error:
                raise InputRefused([undecodable(instance, explained(error))]) from error
    return array


def _require_plausible(geometry: VolumeGeometry) -> None:
    """Refuse before anything is allocated what the files cannot hold.

    Raises:
        InputRefused: If an instance is shorter than its header says.
    """
    for instance in {id(frame.instance): frame.instance for frame in geometry.frames}.values():
        try:
            require_pixels(instance)
        except (*PARSE_ERRORS, RuntimeError) as error:
            raise InputRefused([undecodable(instance, explained(error))]) from error


def _require_size(geometry: VolumeGeometry, bytes_a_voxel: int) -> None:
    """Refuse what no memory holds.

    Raises:
        InputRefused: If the array would be larger than any scan.
    """
    size = int(np.prod(np.array(geometry.shape, dtype=object))) * bytes_a_voxel
    if size > LARGEST_VOLUME_BYTES:
        raise InputRefused([
            Finding(
                FindingCode.TOO_LARGE,
                f"the volume would take {size >> 30} GiB, at most {LARGEST_VOLUME_BYTES >> 30} GiB are read",
                tuple(dict.fromkeys(frame.instance.uid for frame in geometry.frames)),
            )
        ])


def many_bits(frame: Frame) -> bool:
    """Whether stored values may need more digits than float32 has."""
    found = read_numbers(frame.header, "BitsAllocated")
    return found is not None and bool(found[0] > 16)


def _is_whole(frame: Frame) -> bool:
    try:
        return transform_of(frame.header).whole
    except (*PARSE_ERRORS, RuntimeError):
        # What is wrong with it is found, and said, when its slice is read.
        return False
