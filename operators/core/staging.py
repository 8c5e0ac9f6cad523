"""Staging: slices decoded while their study still arrives, so that a finished series costs only a memory map.

A stage is a folder with the values of single slices one after the other in the order of their arrival, and an index
that says which is which. A volume takes them where every file is still the one that was decoded; where anything does
not fit it is read from its files as ever: a stage makes loading faster, never different.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from operators.core.errors import InputRefused
from operators.core.frames import UnreadableFrames, frames_of
from operators.core.header import PARSE_ERRORS
from operators.core.modality import padding_of, transform_of
from operators.core.pixels import SliceValues, between, by_instance, cut, many_bits, read_pictures
from operators.core.series_checks import is_colour

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from operators.core.frames import Frame
    from operators.core.geometry import VolumeGeometry
    from operators.core.reading import Instance

FRAMES_NAME = "frames.bin"
INDEX_NAME = "index.jsonl"


@dataclass(frozen=True)
class StagedFrame:
    """One line of the index.

    Attributes:
        uid: SOP Instance UID.
        number: Frame Number.
        tile: Place in the mosaic, 0 elsewhere.
        stamp: The file that was decoded (`Instance.stamp`).
        shape: Rows and columns.
        dtype: int16, or float32 where int16 does not hold the values; 32 stored bits are not staged.
        offset: Of the values in the file of frames.
        padding_offset: Of the padding mask, one byte a voxel; None where there is none.
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


class StageWriter:
    """Decodes instances as they arrive; a context manager, which leaves a stage that survives a power cut."""

    def __init__(self, folder: Path) -> None:
        """Begin or go on with a stage.

        Args:
            folder: Made where it is missing.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._frames = (folder / FRAMES_NAME).open("ab")
        self._index = (folder / INDEX_NAME).open("a", encoding="utf-8")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self._frames, self._index):
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def add(self, instance: Instance) -> int:
        """Decode an instance.

        Args:
            instance: With header and stamp, as read from its file.

        Returns:
            The number of slices that were staged; 0 for what is no gray image or cannot be decoded: why, the loader
            says when it reads the file.
        """
        try:
            frames = (
                []
                if instance.stamp is None
                else [f for f in frames_of(instance) if not is_colour(f) and not many_bits(f)]
            )
            done = 0
            for _, pictures in by_instance(frames):
                for number, picture, stored in read_pictures(instance, sorted(pictures)):
                    digest = hashlib.sha256(stored).hexdigest()
                    for _, frame in pictures[number]:
                        self._put(frame, cut(picture, frame), digest)
                        done += 1
        except (InputRefused, UnreadableFrames, *PARSE_ERRORS):
            return 0
        return done

    def _put(self, frame: Frame, stored: NDArray[Any], digest: str) -> None:
        transform = transform_of(frame.header)
        looked_up = transform.looked_up(stored)
        values = np.empty(stored.shape, np.int16 if transform.fits_int16(looked_up) else np.float32)
        transform.apply(looked_up, values)
        limits = padding_of(frame.header, signed=stored.dtype.kind == "i")
        mask = None if limits is None else between(stored, limits)
        offset = self._append(values)
        entry = StagedFrame(
            uid=frame.instance.uid,
            number=frame.number,
            tile=frame.tile.index if frame.tile else 0,
            stamp=frame.instance.stamp or (0, 0, 0),
            shape=(stored.shape[0], stored.shape[1]),
            dtype=values.dtype.name,
            offset=offset,
            padding_offset=self._append(mask) if mask is not None and mask.any() else None,
            pixel_sha256=digest,
        )
        # The line follows its values: an index never promises what is not there.
        self._frames.flush()
        self._index.write(json.dumps(asdict(entry)) + "\n")
        self._index.flush()

    def _append(self, values: NDArray[Any]) -> int:
        # Slices of equal size follow each other without a gap, or no volume could be mapped.
        offset = self._frames.seek(0, os.SEEK_END)
        self._frames.write(values.tobytes())
        return offset


def take_staged(folder: Path, geometry: VolumeGeometry) -> SliceValues | None:
    """The values of a volume from a stage.

    Args:
        folder: The stage.
        geometry: The volume, its headers just read.

    Returns:
        Array, padding and digests; None where a slice is missing, or a file is another one than was decoded.
    """
    try:
        found = _find(folder, geometry.frames)
        if found is None or len({(entry.dtype, entry.shape) for entry in found}) != 1:
            return None
        return SliceValues(
            _map(folder / FRAMES_NAME, found),
            _padding(folder / FRAMES_NAME, found),
            [entry.pixel_sha256 for entry in found],
        )
    except (OSError, ValueError):
        return None


def _find(folder: Path, frames: Sequence[Frame]) -> list[StagedFrame] | None:
    index = _read_index(folder / INDEX_NAME)
    found = [index.get(_key(frame)) for frame in frames]
    fitting = [entry for entry, frame in zip(found, frames, strict=True) if _fits(entry, frame)]
    return [entry for entry in fitting if entry is not None] if len(fitting) == len(frames) else None


def _read_index(path: Path) -> dict[Hashable, StagedFrame]:
    entries: dict[Hashable, StagedFrame] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            values = json.loads(line)
            entry = StagedFrame(**values | {"stamp": tuple(values["stamp"]), "shape": tuple(values["shape"])})
        except (ValueError, TypeError, KeyError):
            continue  # the last line of a writer that was killed
        entries[entry.uid, entry.number, entry.tile] = entry
    return entries


def _key(frame: Frame) -> Hashable:
    return frame.instance.uid, frame.number, frame.tile.index if frame.tile else 0


def _fits(entry: StagedFrame | None, frame: Frame) -> bool:
    return entry is not None and entry.stamp == frame.instance.stamp


def _map(path: Path, found: Sequence[StagedFrame]) -> NDArray[Any]:
    """The file itself where slices lie in it in the volume's order or the reverse, else a copy in that order."""
    dtype, shape = np.dtype(found[0].dtype), found[0].shape
    size = dtype.itemsize * shape[0] * shape[1]
    steps = set(np.diff([entry.offset for entry in found]).tolist())
    if steps <= {size} or steps == {-size}:
        first = min(entry.offset for entry in found)
        mapped = np.asarray(np.memmap(path, dtype, mode="r", offset=first, shape=(len(found), *shape)))
        return mapped[::-1] if steps == {-size} else mapped
    return np.stack([np.memmap(path, dtype, mode="r", offset=entry.offset, shape=shape) for entry in found])


def _padding(path: Path, found: Sequence[StagedFrame]) -> NDArray[np.bool_] | None:
    if all(entry.padding_offset is None for entry in found):
        return None
    mask = np.zeros((len(found), *found[0].shape), dtype=np.bool_)
    for index, entry in enumerate(found):
        if entry.padding_offset is not None:
            mask[index] = np.memmap(path, np.bool_, mode="r", offset=entry.padding_offset, shape=entry.shape)
    return mask
