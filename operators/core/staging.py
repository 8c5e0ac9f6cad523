"""Staging: slices decoded while their study still arrives, so that a finished series costs only a memory map.

A stage is a folder with the values of single slices one after the other in the order of their arrival, and an index
that says which is which. `staged_volume.py` takes them where every file is still the one that was decoded; where
anything does not fit it is read from its files as ever: a stage makes loading faster, never different.

Nothing is made durable: a stage is good until the machine stops, and says in which run of the machine it was made.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from operators.core.errors import InputRefused
from operators.core.frames import UnreadableFrames, frames_of
from operators.core.header import PARSE_ERRORS
from operators.core.modality import padding_of, transform_of
from operators.core.pixels import KnownSlice, between, by_instance, cut, many_bits, read_pictures
from operators.core.series_checks import is_colour

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

    from numpy.typing import NDArray

    from operators.core.frames import Frame
    from operators.core.reading import Instance

FRAMES_NAME = "frames.bin"
PADDING_NAME = "padding.bin"
"""Padding masks, one byte a voxel: files of their own, so that slices follow each other without a gap."""
INDEX_NAME = "index.jsonl"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Another one after each start of the machine: of what was written before it, parts may never have reached the disk."""


class StageInUse(Exception):
    """Another process writes this stage."""


@dataclass(frozen=True)
class StagedFrame:
    """One line of the index.

    Attributes:
        uid: SOP Instance UID.
        number: Frame Number.
        tile: Place in the mosaic, 0 elsewhere.
        stamp: The file that was decoded (`Instance.stamp`); a hard link of it has the same.
        shape: Rows and columns.
        dtype: int16, or float32 where int16 does not hold the values; 32 stored bits are not staged.
        offset: Of the values in the file of frames.
        padding_offset: Of the padding mask in the file of masks; None where there is none.
        pixel_sha256: As in SourceSlice.
    """

    uid: str
    number: int
    tile: int
    stamp: tuple[int, int, int]
    shape: tuple[int, int]
    dtype: str
    offset: int
    padding_offset: int | None
    pixel_sha256: str


def key_of(frame: Frame) -> Hashable:
    """What tells a frame from all others."""
    return frame.instance.uid, frame.number, frame.tile.index if frame.tile else 0


def decode_slices(instance: Instance) -> Iterator[tuple[Frame, KnownSlice]]:
    """Decode an instance, a slice at a time, for `StageWriter.put`; from any thread.

    Args:
        instance: With header and stamp, as read from its file.

    Yields:
        Its gray slices. It ends early at what cannot be decoded: why, the loader says when it reads the file.
    """
    if instance.stamp is None:
        return
    try:
        frames = [f for f in frames_of(instance) if not is_colour(f) and not many_bits(f)]
        for _, pictures in by_instance(enumerate(frames)):
            for number, picture, stored in read_pictures(instance, sorted(pictures)):
                digest = hashlib.sha256(stored).hexdigest()
                for _, frame in pictures[number]:
                    yield frame, _values(frame, cut(picture, frame), digest)
    except (InputRefused, UnreadableFrames, *PARSE_ERRORS):
        return


def _values(frame: Frame, stored: NDArray[Any], digest: str) -> KnownSlice:
    transform = transform_of(frame.header)
    looked_up = transform.looked_up(stored)
    values = np.empty(stored.shape, np.int16 if transform.fits_int16(looked_up) else np.float32)
    transform.apply(looked_up, values)
    limits = padding_of(frame.header, signed=stored.dtype.kind == "i")
    mask = None if limits is None else between(stored, limits)
    return KnownSlice(values, mask if mask is not None and mask.any() else None, digest)


class StageWriter:
    """Writes a stage, alone; a context manager."""

    def __init__(self, folder: Path) -> None:
        """Begin a stage or go on with it.

        Args:
            folder: Made where it is missing.

        Raises:
            StageInUse: If another process writes there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._frames = _Appended(folder / FRAMES_NAME)
        self._padding = _Appended(folder / PADDING_NAME)
        known = read_index(folder)
        if not known:
            self._frames.empty()
            self._padding.empty()
        self._stamps = {key: entry.stamp for key, entry in known.items()}
        self._index = (folder / INDEX_NAME).open("a" if known else "w", encoding="utf-8")
        # Ends the line of a writer that was killed.
        self._index.write("\n" if known else json.dumps({"boot_id": _boot_id()}) + "\n")
        self._index.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write here."""
        for file in (self._index, self._padding, self._frames):
            file.close()

    def add(self, instance: Instance) -> int:
        """Decode an instance and write its slices.

        Args:
            instance: As for `decode_slices`.

        Returns:
            The number of slices that are staged now; 0 for what is no gray image or cannot be decoded.
        """
        return self.put(decode_slices(instance))

    def put(self, slices: Iterable[tuple[Frame, KnownSlice]]) -> int:
        """Write slices; those that are here already are left out.

        Args:
            slices: What `decode_slices` gives.

        Returns:
            Their number.

        Raises:
            OSError: If the disk takes no more.
        """
        done = 0
        for frame, one in slices:
            if self._stamps.get(key_of(frame)) != frame.instance.stamp:
                self._put(frame, one)
            done += 1
        return done

    def _put(self, frame: Frame, one: KnownSlice) -> None:
        offset = self._frames.append(one.values)
        entry = StagedFrame(
            uid=frame.instance.uid,
            number=frame.number,
            tile=frame.tile.index if frame.tile else 0,
            stamp=frame.instance.stamp or (0, 0, 0),
            shape=(one.values.shape[0], one.values.shape[1]),
            dtype=one.values.dtype.name,
            offset=offset,
            padding_offset=None if one.padding is None else self._padding.append(one.padding),
            pixel_sha256=one.pixel_sha256,
        )
        # The line follows its values: an index never promises what is not there.
        self._index.write(json.dumps(asdict(entry)) + "\n")
        self._index.flush()
        self._stamps[key_of(frame)] = entry.stamp


class _Appended:
    """A file to which arrays are appended, by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StageInUse(str(path)) from error
        self._end = os.fstat(self._file).st_size

    def empty(self) -> None:
        """Begin anew; whoever has mapped the file keeps what it had, for nobody takes a stage without an index."""
        os.ftruncate(self._file, 0)
        self._end = 0

    def append(self, values: NDArray[Any]) -> int:
        """The place of an array, once it is written as a whole: what a full disk left of one is written over."""
        offset, left = self._end, values.data.cast("B")
        while left:
            left = left[os.pwrite(self._file, left, offset + values.nbytes - len(left)) :]
        self._end = offset + values.nbytes
        return offset

    def close(self) -> None:
        """Let others write."""
        os.close(self._file)


def read_index(folder: Path) -> dict[Hashable, StagedFrame]:
    """What a stage holds, by `key_of`; nothing where it is none, or was made before the machine started."""
    try:
        first, *lines = (folder / INDEX_NAME).read_text(encoding="utf-8").splitlines()
        if json.loads(first) != {"boot_id": _boot_id()}:
            return {}
    except (OSError, ValueError):
        return {}
    entries: dict[Hashable, StagedFrame] = {}
    for line in lines:
        try:
            values = json.loads(line)
            entry = StagedFrame(**values | {"stamp": tuple(values["stamp"]), "shape": tuple(values["shape"])})
        except (ValueError, TypeError, KeyError):
            continue  # the last line of a writer that was killed
        entries[entry.uid, entry.number, entry.tile] = entry
    return entries


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()
