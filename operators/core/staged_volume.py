"""Staged volume: a volume from its stage, and from its files what the stage lacks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core.pixels import KnownSlice, SliceValues, read_missing
from operators.core.staging import FRAMES_NAME, PADDING_NAME, key_of, read_index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from operators.core.geometry import VolumeGeometry
    from operators.core.staging import StagedFrame


def take_staged(
    folder: Path, geometry: VolumeGeometry, on_slice: Callable[[int, int], None] | None = None
) -> SliceValues | None:
    """The values of a volume from a stage; slices that are not in it, or whose file is another one, are decoded.

    Args:
        folder: The stage.
        geometry: A volume on an even grid, its headers just read.
        on_slice: As in `read_volume`, for slices that are decoded.

    Returns:
        The same as decoding all; None where the stage is of no use and all have to be decoded.

    Raises:
        InputRefused: If the pixels of an instance that was not staged cannot be decoded.
    """
    found = _find(folder, geometry)
    if len({(entry.dtype, entry.shape) for entry in found.values()}) != 1:
        return None
    entries = list(found.values())
    try:
        stage = _Stage(folder, entries)
        if len(found) == len(geometry.frames):
            return SliceValues(stage.array(), stage.padding(), [entry.pixel_sha256 for entry in entries])
        known = {index: stage.known(entry) for index, entry in found.items()}
    except (OSError, ValueError):
        return None  # a file is gone, or shorter than its index says
    return read_missing(geometry, known, on_slice)


def _find(folder: Path, geometry: VolumeGeometry) -> dict[int, StagedFrame]:
    """What the stage has of a volume, by index of the slice, ascending."""
    index = read_index(folder)
    found = {}
    for place, frame in enumerate(geometry.frames):
        entry = index.get(key_of(frame))
        if entry is not None and entry.stamp == frame.instance.stamp and entry.shape == _matrix(geometry):
            found[place] = entry
    return found


def _matrix(geometry: VolumeGeometry) -> tuple[int, ...] | None:
    return None if geometry.shape is None else geometry.shape[1:]


class _Stage:
    """The files of a stage, mapped; slices of one shape and type."""

    def __init__(self, folder: Path, entries: Sequence[StagedFrame]) -> None:
        self._entries = entries
        self._shape, self._dtype = entries[0].shape, np.dtype(entries[0].dtype)
        self._frames = np.memmap(folder / FRAMES_NAME, np.uint8, mode="r")
        padded = any(entry.padding_offset is not None for entry in entries)
        self._masks = np.memmap(folder / PADDING_NAME, np.uint8, mode="r") if padded else None

    def known(self, entry: StagedFrame) -> KnownSlice:
        """One slice."""
        return KnownSlice(self._plane(entry), self._mask(entry), entry.pixel_sha256)

    def array(self) -> NDArray[Any]:
        """All slices: the file itself where they lie in it in this order or the reverse, else a copy."""
        size = self._dtype.itemsize * math.prod(self._shape)
        steps = set(np.diff([entry.offset for entry in self._entries]).tolist())
        if steps <= {size} or steps == {-size}:
            first = min(entry.offset for entry in self._entries)
            mapped = _cut(self._frames, first, self._dtype, (len(self._entries), *self._shape))
            return mapped[::-1] if steps == {-size} else mapped
        return np.stack([self._plane(entry) for entry in self._entries])

    def padding(self) -> NDArray[np.bool_] | None:
        """The masks of all slices; None where none has one."""
        if self._masks is None:
            return None
        padding = np.zeros((len(self._entries), *self._shape), dtype=np.bool_)
        for index, entry in enumerate(self._entries):
            mask = self._mask(entry)
            if mask is not None:
                padding[index] = mask
        return padding

    def _plane(self, entry: StagedFrame) -> NDArray[Any]:
        return _cut(self._frames, entry.offset, self._dtype, self._shape)

    def _mask(self, entry: StagedFrame) -> NDArray[np.bool_] | None:
        if entry.padding_offset is None or self._masks is None:
            return None
        return _cut(self._masks, entry.padding_offset, np.dtype(np.bool_), self._shape)


def _cut(file: NDArray[np.uint8], offset: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array out of a file.

    Raises:
        ValueError: If the file ends before it.
    """
    return np.asarray(file[offset : offset + dtype.itemsize * math.prod(shape)]).view(dtype).reshape(shape)
