"""Codestream: what compressed pixels say of themselves, compared with the header before anything is decompressed.

A decoder believes the codestream: one that says 60,000 x 60,000 makes it ask for gigabytes, one that is cut makes some
invent the missing rows in silence. So size, components and precision have to be those of the header, and a JPEG has to
end as one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

if TYPE_CHECKING:
    from pydicom.uid import UID

JPEG_2000 = frozenset({JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL})
JPEG = frozenset({*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes})
START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
"""SOC and SIZ, which have to come first (ISO/IEC 15444-1 A.4.1, A.5.1); a JP2 file has boxes before them."""
START_OF_IMAGE = b"\xff\xd8"
END_OF_IMAGE = b"\xff\xd9"
PADDING_BYTES = 16
"""Behind the end of the image there may be a byte to make the length even (PS3.5 A.4); some devices write more."""
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS (ISO/IEC 14495-1 C.2.2)."""


@dataclass(frozen=True)
class ImageSize:
    """What a codestream says of its image."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool = False


def check_codestream(stored: bytes, syntax: UID, expected: ImageSize, bits_allocated: int) -> None:
    """Refuse a codestream that is not the image of its header.

    Args:
        stored: One frame.
        syntax: Its transfer syntax; others than JPEG, JPEG-LS and JPEG 2000 are not looked at.
        expected: What the header says; precision is Bits Stored.
        bits_allocated: Precision at most: some devices write it in place of Bits Stored.

    Raises:
        ValueError: If size, components or precision differ, or a JPEG does not end as one.
    """
    if syntax in JPEG_2000:
        found = size_of_jpeg_2000(stored)
    elif syntax in JPEG:
        found = size_of_jpeg(stored)
        if END_OF_IMAGE not in stored[-PADDING_BYTES:]:
            raise ValueError("the JPEG image has no end: it was cut off")
    else:
        return
    same_size = (found.rows, found.columns, found.components) == (expected.rows, expected.columns, expected.components)
    if found.signed and not expected.signed:
        raise ValueError("the compressed image is signed, its Pixel Representation is not")
    if not same_size or not expected.precision <= found.precision <= bits_allocated:
        raise ValueError(f"the header says {expected}, the compressed image {found}")


def size_of_jpeg_2000(stored: bytes) -> ImageSize:
    """Size from the SIZ marker (ISO/IEC 15444-1 A.5.1).

    Raises:
        ValueError: If there is none, or the tiles do not begin with the image.
    """
    start = stored.find(START_OF_CODESTREAM, 0, 1024)
    if start < 0 or len(stored) < start + 43:
        raise ValueError("no JPEG 2000 codestream")
    x, y, left, top, tile_x, tile_y, tile_left, tile_top, components, depth = struct.unpack_from(
        ">8I H B", stored, start + 8
    )
    # No offsets in DICOM images; more tiles than pixels would only cost time.
    if left or top or tile_left or tile_top or not tile_x or not tile_y or x > MOST_TILES * tile_x:
        raise ValueError("a JPEG 2000 image with offsets or with too many tiles")
    if y > MOST_TILES * tile_y:
        raise ValueError("a JPEG 2000 image with too many tiles")
    return ImageSize(rows=y, columns=x, components=components, precision=(depth & 0x7F) + 1, signed=bool(depth & 0x80))


MOST_TILES = 256
"""Along each side of an image."""


def size_of_jpeg(stored: bytes) -> ImageSize:
    """Size from the start of frame (ISO/IEC 10918-1 B.2.2, ISO/IEC 14495-1 C.2.2).

    Raises:
        ValueError: If there is none.
    """
    if stored[:2] != START_OF_IMAGE:
        raise ValueError("no JPEG image")
    at = 2
    while at + 10 <= len(stored) and stored[at] == 0xFF:
        marker = stored[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", stored, at + 2)
        if marker in FRAME_MARKERS:
            precision, rows, columns, components = struct.unpack_from(">BHHB", stored, at + 4)
            return ImageSize(rows, columns, components, precision)
        at += 2 + max(2, length)
    raise ValueError("a JPEG image without a frame")
