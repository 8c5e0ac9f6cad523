"""Pixel format: what the bytes of an image's pixels are, as the Image Pixel Module says it (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.header import as_written, attribute, read_value, transfer_syntax, whole_number

if TYPE_CHECKING:
    from collections.abc import Hashable

    from pydicom import Dataset
    from pydicom.uid import UID

LARGEST_MATRIX = 2**14
"""Rows and columns at most; the largest detectors have some 5000."""
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


FORMAT_KEYWORDS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames",
)  # fmt: skip
MOST_KNOWN = 256
_known: dict[Hashable, PixelFormat] = {}
"""Formats by what headers say: all slices of a series have one, and reading it takes a tenth of loading them."""


@dataclass(frozen=True)
class PixelFormat:
    """What the bytes of pixels are.

    Attributes:
        syntax: Transfer syntax.
        rows: Rows (0028,0010).
        columns: Columns (0028,0011).
        samples: Samples per Pixel (0028,0002), 1 or 3.
        photometric: Photometric Interpretation (0028,0004).
        planar: Planar Configuration (0028,0006).
        bits_allocated: Bits Allocated (0028,0100): 8, 16 or 32.
        bits_stored: Bits Stored (0028,0101).
        high_bit: High Bit (0028,0102).
        signed: Pixel Representation (0028,0103).
        frames: Number of Frames (0028,0008), 1 where absent.
    """

    syntax: UID
    rows: int
    columns: int
    samples: int
    photometric: str
    planar: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    frames: int

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def frame_bytes(self) -> int:
        """Bytes of a native frame (PS3.5 8.1.1)."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


def pixel_format(header: Dataset) -> PixelFormat:
    """Read what the pixels are.

    Args:
        header: The instance's header.

    Returns:
        The format, every value checked.

    Raises:
        ValueError: If an attribute of Type 1 is missing or is no value that it may have: nobody may guess a sign.
        NotImplementedError: If the transfer syntax is not known.
    """
    key = (transfer_syntax(header), *(as_written(header, keyword) for keyword in FORMAT_KEYWORDS))
    if key not in _known:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known[key] = _read_format(header)
    return _known[key]


def _read_format(header: Dataset) -> PixelFormat:
    bits = tuple(whole_number(header, keyword) for keyword in ("BitsAllocated", "BitsStored", "HighBit"))
    allocated, stored, high = bits
    if allocated not in {8, 16, 32} or not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise ValueError(f"Bits Allocated {allocated}, Bits Stored {stored} and High Bit {high} do not agree")
    rows, columns = (_between(header, keyword, 1, LARGEST_MATRIX) for keyword in ("Rows", "Columns"))
    samples = whole_number(header, "SamplesPerPixel", absent=1)
    if samples not in {1, 3}:
        raise ValueError(f"{attribute('SamplesPerPixel')} is neither 1 nor 3")
    return PixelFormat(
        syntax=transfer_syntax(header),
        rows=rows,
        columns=columns,
        samples=samples,
        photometric=str(read_value(header, "PhotometricInterpretation") or MONOCHROME[1]),
        planar=whole_number(header, "PlanarConfiguration", absent=0),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=_between(header, "PixelRepresentation", 0, 1) == 1,
        frames=whole_number(header, "NumberOfFrames", absent=1),
    )


def _between(header: Dataset, keyword: str, low: int, high: int) -> int:
    value = whole_number(header, keyword)
    if not low <= value <= high:
        raise ValueError(f"{attribute(keyword)} is not between {low} and {high}")
    return value
