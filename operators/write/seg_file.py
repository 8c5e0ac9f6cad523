"""Frames at the end of a SEG file: functional groups and Pixel Data, written behind all other elements.

Both stand last in a data set (PS3.5 7.1), so that the file is written from front to back.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, BinaryIO

from operators.core.errors import SegmentationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

UNDEFINED_LENGTH = 0xFFFFFFFF
LONGEST_VALUE = 0xFFFFFFFE
"""The largest even length that 32 bits hold (PS3.5 7.1.2)."""


def native_length(frames: int, bits: int) -> int:
    """Bytes of native Pixel Data, frames without a gap between them (PS3.5 8.1.1), not padded.

    Args:
        frames: Number of frames.
        bits: Of one frame.

    Returns:
        The length.

    Raises:
        SegmentationError: If that is more than an element may hold.
    """
    length = -(-frames * bits // 8)
    if length > LONGEST_VALUE:
        raise SegmentationError(
            f"{frames} frames are {length} bytes of native Pixel Data; {LONGEST_VALUE} is the most (PS3.5 7.1.2): "
            "write fewer segments, or a LABELMAP"
        )
    return length


def append_native(path: Path, items: Sequence[bytes], pieces: Iterable[bytes], length: int) -> None:
    """Append the frames of a SEG whose Pixel Data is native.

    Args:
        path: File with the elements before (5200,9230), Explicit VR Little Endian.
        items: Encoded items, one a frame.
        pieces: Pixel Data.
        length: Bytes of Pixel Data without padding.
    """
    with path.open("ab") as file:
        _write_items(file, items)
        file.write(_header(0x7FE0, 0x0010, b"OB", length + length % 2))
        file.writelines(pieces)
        # highdicom pads with the character 0, where PS3.5 6.2 has the byte 00H; no frame reaches into it.
        file.write(b"0" * (length % 2))


def append_encapsulated(path: Path, items: Sequence[bytes], encoded: Iterable[bytes]) -> None:
    """Append the frames of a SEG whose Pixel Data is encapsulated, one fragment a frame (PS3.5 A.4).

    Args:
        path: As above.
        items: Encoded items, one a frame.
        encoded: Encoded frames of even length.
    """
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        _write_items(file, items)
        file.write(_header(0x7FE0, 0x0010, b"OB", UNDEFINED_LENGTH))
        offsets_at = file.tell()
        offsets: list[int] = []
        file.write(_fragment(bytes(4 * len(items))))
        begin = file.tell()
        for frame in encoded:
            offsets.append(file.tell() - begin)
            file.write(_fragment(frame))
        file.write(struct.pack("<HHL", 0xFFFE, 0xE0DD, 0))
        file.seek(offsets_at)
        file.write(_fragment(struct.pack(f"<{len(offsets)}L", *offsets)))


def _write_items(file: BinaryIO, items: Sequence[bytes]) -> None:
    file.write(_header(0x5200, 0x9230, b"SQ", sum(map(len, items))))
    file.writelines(items)


def _header(group: int, element: int, vr: bytes, length: int) -> bytes:
    """Tag, VR and 32-bit length (PS3.5 7.1.2)."""
    return struct.pack("<HH2sHL", group, element, vr, 0, length)


def _fragment(value: bytes) -> bytes:
    """An item of encapsulated Pixel Data (PS3.5 A.4)."""
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value
