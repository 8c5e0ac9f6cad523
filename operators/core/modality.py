"""Modality: from stored values to what they stand for, by the Modality LUT (PS3.3 C.11.1), and which are padding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core.header import attribute, read_numbers, read_value

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class ModalityTransform:
    """Output of the Modality LUT of one frame: table, or slope and intercept.

    Attributes:
        slope: Rescale Slope (0028,1053).
        intercept: Rescale Intercept (0028,1052).
        table: Modality LUT Data (0028,3006), where there is a table instead.
        first: Stored value that the table's first entry stands for.
    """

    slope: float = 1.0
    intercept: float = 0.0
    table: NDArray[Any] | None = None
    first: int = 0

    @property
    def whole(self) -> bool:
        """Whether whole stored values become whole values."""
        return self.slope.is_integer() and self.intercept.is_integer()

    def looked_up(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Stored values through the table, where there is one; values beyond it take its ends (PS3.3 C.11.1.1)."""
        if self.table is None:
            return stored
        index = np.clip(stored.astype(np.int64) - self.first, 0, len(self.table) - 1)
        return np.asarray(self.table[index])

    def fits_int16(self, stored: NDArray[Any]) -> bool:
        """Whether every value is a whole number that int16 holds."""
        if not self.whole:
            return False
        ends = [int(end) * int(self.slope) + int(self.intercept) for end in (stored.min(), stored.max())]
        return min(ends) >= INT16.min and max(ends) <= INT16.max

    def apply(self, stored: NDArray[Any], out: NDArray[Any]) -> None:
        """Write the values of `stored` (looked up) into `out`, in the precision that `out` needs."""
        if out.dtype == np.int16:
            if self.slope == 1 and stored.dtype.itemsize == 2 and INT16.min <= self.intercept <= INT16.max:
                # The sum fits (`fits_int16`), so arithmetic modulo 2**16 gives it, signed or not, in one pass.
                np.add(
                    stored.view(stored.dtype.newbyteorder("=").str.replace("u", "i")), np.int16(self.intercept), out=out
                )
            else:
                out[...] = stored.astype(np.int64) * int(self.slope) + int(self.intercept)
        else:
            out[...] = stored * np.float64(self.slope) + self.intercept


def transform_of(header: Dataset) -> ModalityTransform:
    """The Modality LUT of a frame; the identity where there is none.

    Args:
        header: Flat header, whose numbers `check_values` looked at.

    Returns:
        The transform.

    Raises:
        ValueError: If a table says less than it should, or a number is none.
    """
    sequence = read_value(header, "ModalityLUTSequence")
    if sequence:
        signed = str(read_value(header, "PixelRepresentation") or 0) == "1"
        return _table_of(sequence[0], little_endian=header.original_encoding[1] is not False, signed=signed)
    slope, intercept = _number(header, "RescaleSlope", 1.0), _number(header, "RescaleIntercept", 0.0)
    return ModalityTransform(slope, intercept)


def _number(header: Dataset, keyword: str, absent: float) -> float:
    """One finite number.

    Raises:
        ValueError: If it is none.
    """
    found = read_numbers(header, keyword)
    if found is None:
        return absent
    if found.shape != (1,) or not np.isfinite(found[0]):
        raise ValueError(f"{attribute(keyword)} is no number")
    return float(found[0])


def _table_of(item: Dataset, *, little_endian: bool, signed: bool) -> ModalityTransform:
    """Modality LUT Sequence (0028,3000).

    Raises:
        ValueError: If its data is absent or of another length than its descriptor says.
    """
    descriptor, data = read_value(item, "LUTDescriptor"), read_value(item, "LUTData")
    if descriptor is None or data is None or len(descriptor) != 3:
        raise ValueError("the Modality LUT has no descriptor or no data")
    entries, first, bits = (int(v) for v in descriptor)
    # pydicom leaves OW in the order of the file.
    raw = (
        np.frombuffer(data, dtype="<u2" if little_endian else ">u2").astype(np.uint16)
        if isinstance(data, bytes)
        else np.asarray(data)
    )
    if isinstance(data, bytes) and bits == 8 and len(data) in {entries, entries + 1}:
        raw = np.frombuffer(data, dtype=np.uint8)[: entries or None]
    if not 8 <= bits <= 16:
        raise ValueError(f"the Modality LUT has entries of {bits} bits")
    if len(raw) != (entries or 2**16):
        raise ValueError(f"the Modality LUT has {len(raw)} entries, its descriptor says {entries or 2**16}")
    # The descriptor is written with either sign; stored values have that of the pixels.
    begin = _stored_number(first, signed=signed)
    return ModalityTransform(table=raw, first=first if begin is None else begin)


def padding_of(header: Dataset, *, signed: bool) -> tuple[int, int] | None:
    """Lowest and highest stored value that is padding, no tissue (PS3.3 C.7.5.1.1.2); None where there is none.

    Args:
        header: Flat header.
        signed: Whether stored values are signed: the attributes are written with either sign.
    """
    value = _stored_number(read_value(header, "PixelPaddingValue"), signed=signed)
    if value is None:
        return None
    limit = _stored_number(read_value(header, "PixelPaddingRangeLimit"), signed=signed)
    return (value, value) if limit is None else (min(value, limit), max(value, limit))


def _stored_number(value: Any, *, signed: bool) -> int | None:  # noqa: ANN401 - pydicom values are untyped
    """A value of VR US or SS in the sign of the pixels; implicit VR leaves its bytes."""
    if isinstance(value, bytes) and len(value) == 2:
        value = int.from_bytes(value, "little")
    if not isinstance(value, int):
        return None
    low = value & 0xFFFF
    return low - 0x10000 if signed and low > INT16.max else low
