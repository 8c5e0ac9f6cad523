"""Header: single values of a data set, read so that no damage in one raises anything but what its reader expects."""

from __future__ import annotations

import copy
import functools
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydicom import Dataset
from pydicom.config import IGNORE, settings
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from operators.core.header_walk import known_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable

    from numpy.typing import NDArray
    from pydicom import DataElement
    from pydicom.tag import BaseTag

# Everything that pydicom raises on data sets that do not parse.
PARSE_ERRORS = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of sequences that end with a delimiter, and of encapsulated pixels (PS3.5 7.1, A.4)."""
T = TypeVar("T")
UID_FORM = re.compile(r"[0-9.]{1,64}")
NO_NUMBER = np.array([np.nan])
DECIMAL_STRINGS = frozenset({
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
    "SliceThickness",
    "SpacingBetweenSlices",
})


def keep_values_out_of_warnings() -> None:
    """Read values as they are, for the whole process: pydicom's warnings of odd ones print them, names among them.

    Called once where a process begins; what an odd value means is decided where it is used.
    """
    settings.reading_validation_mode = IGNORE


def read_value(header: Dataset, keyword: str | tuple[int, int]) -> Any:  # noqa: ANN401 - pydicom values are untyped
    """The value of an attribute, by keyword or tag; None where it is absent or empty, or no value of its VR."""
    tag = _tag(keyword)
    try:
        item = header.get_item(tag)
        value = _plain(item) if isinstance(item, RawDataElement) else None
        if value is None and item is not None:
            value = header[tag].value
    except PARSE_ERRORS:
        return None
    return None if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0) else value


def _plain(item: RawDataElement) -> str | int | list[str] | None:
    """The value of the commonest kinds of elements, read from its bytes; None for other kinds.

    The checks of a series look at some twenty attributes of each slice; pydicom's objects for them would take longer
    than reading the pixels.
    """
    vr = item.VR or dictionary_VR(item.tag)
    if vr == "US" and item.length == 2 and item.value is not None:
        return int.from_bytes(item.value, "little" if item.is_little_endian else "big")
    if vr not in {"UI", "CS"} or item.value is None:
        return None
    parts = _split(item.value)
    return parts[0] if len(parts) == 1 else list(parts)


@functools.lru_cache(maxsize=4096)
def _split(value: bytes) -> tuple[str, ...]:
    """The values of an element of UI or CS; slices of a series share most of them."""
    return tuple(part.strip(" \0") for part in value.decode("latin-1").split("\\"))


def as_written(header: Dataset, keyword: str) -> Hashable:
    """An attribute's value as it stands in the file, for comparing headers with each other; None where it is absent.

    Slices of a series agree in nearly everything: what all share has to be looked at once.
    """
    try:
        item = header.get_item(_tag(keyword))
        value = item if item is None or isinstance(item, RawDataElement) else str(item.value)
    except PARSE_ERRORS as error:
        return type(error).__name__
    return value.value if isinstance(value, RawDataElement) else value


def alike(items: Iterable[T], header_of: Callable[[T], Dataset], *keywords: str) -> dict[tuple[Hashable, ...], list[T]]:
    """Items by what their headers say of some attributes, as written.

    Args:
        items: Instances or frames.
        header_of: Gives the header of one.
        keywords: The attributes.

    Returns:
        Groups of items that agree; the first item stands for its group.
    """
    groups: dict[tuple[Hashable, ...], list[T]] = {}
    for item in items:
        header = header_of(item)
        groups.setdefault(tuple(as_written(header, keyword) for keyword in keywords), []).append(item)
    return groups


def read_text(header: Dataset, keyword: str) -> str:
    """The attribute's only value where it is text, such as a UID; empty where it is absent or anything else."""
    value = read_value(header, keyword)
    return str(value) if isinstance(value, str) else ""


def read_uid(header: Dataset, keyword: str) -> str:
    """The attribute's only value where it is a UID (PS3.5 9.1, leading zeros let through); empty otherwise.

    A length that lies can make a UID swallow what follows it, a name perhaps.
    """
    text = read_text(header, keyword)
    return text if UID_FORM.fullmatch(text) else ""


def has(header: Dataset, keyword: str) -> bool:
    """Whether a data set has an attribute, with a value or without."""
    return _tag(keyword) in header


@functools.cache
def _tag(keyword: str | tuple[int, int]) -> BaseTag:
    return known_tag(int(Tag(keyword)))


def read_numbers(header: Dataset, keyword: str) -> NDArray[np.float64] | None:
    """The attribute's numbers; None where it is absent or empty, NaN where it is no number.

    Decimal Strings are read from their bytes, without pydicom's objects for each: a series of 1,200 slices has 15,000.
    """
    try:
        item = header.get_item(_tag(keyword))
        if item is not None and keyword in DECIMAL_STRINGS:
            return _decimals(item)
        value = read_value(header, keyword)
        return None if value is None else np.atleast_1d(np.asarray(value, dtype=np.float64))
    except PARSE_ERRORS:
        return NO_NUMBER


def _decimals(item: DataElement | RawDataElement) -> NDArray[np.float64] | None:
    """The numbers of a Decimal String (PS3.5 6.2): of no other VR, and 1_0, which Python takes for 10, is none."""
    if item.VR not in {"DS", None}:
        return NO_NUMBER
    return _parse_decimals(_decimal_text(item))


def _decimal_text(item: DataElement | RawDataElement) -> str:
    """The Decimal Strings as they are written, padding included."""
    if isinstance(item, RawDataElement):
        return (item.value or b"").decode("ascii")
    values = item.value if isinstance(item.value, MultiValue) else [item.value]
    return "\\".join("" if v is None else str(getattr(v, "original_string", v)) for v in values)


def decimal_strings(header: Dataset, keyword: str) -> list[str]:
    """The Decimal Strings of an attribute that the data set has, as they are written, without padding (PS3.5 6.2)."""
    return [text.strip(" \0") for text in _decimal_text(header.get_item(_tag(keyword))).split("\\")]


@functools.lru_cache(maxsize=4096)
def _parse_decimals(text: str) -> NDArray[np.float64] | None:
    parts = text.rstrip(" \0").split("\\")
    if parts == [""]:
        return None
    if "_" in text:
        return NO_NUMBER
    found = np.array([float(part) for part in parts])
    found.flags.writeable = False
    return found


def whole_number(header: Dataset, keyword: str, absent: int | None = None) -> int:
    """The attribute's only value.

    Args:
        header: Any data set.
        keyword: The attribute.
        absent: What stands for it where the data set does not have it; None where it has to.

    Returns:
        The number.

    Raises:
        ValueError: If it is missing, empty, or not exactly one whole number.
    """
    if absent is not None and not has(header, keyword):
        return absent
    found = read_numbers(header, keyword)
    if found is None or found.shape != (1,) or not float(found[0]).is_integer():
        raise ValueError(f"{attribute(keyword)} is not one whole number")
    return int(found[0])


def standard_copy(header: Dataset, without: Collection[str] = ()) -> Dataset:
    """A copy of a header that can be changed: its standard attributes.

    Args:
        header: Any data set.
        without: Keywords of attributes to leave out.

    Returns:
        The copy; private attributes are not in it.
    """
    copied = Dataset()
    left_out = {Tag(keyword) for keyword in without}
    # Raw elements stay raw: a name keeps the bytes and the character set of its file. Converted ones are copied, for
    # pydicom sets a value into its element.
    copied.update({
        tag: item if isinstance(item, RawDataElement) else copy.copy(item)
        for tag, item in header.items()
        if not tag.is_private and tag not in left_out
    })
    implicit, little_endian = header.original_encoding
    copied.set_original_encoding(implicit, little_endian, header.original_character_set)
    copied.file_meta = getattr(header, "file_meta", FileMetaDataset())
    return copied


def attribute(keyword: str) -> str:
    """An attribute as people look it up: keyword and tag.

    Examples:
        >>> attribute("PixelSpacing")
        'PixelSpacing (0028,0030)'
    """
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def transfer_syntax(header: Dataset) -> UID:
    """Transfer Syntax UID (0002,0010); where there is no file meta information, how the data set reads.

    Raises:
        NotImplementedError: If the UID names no transfer syntax that is known.
    """
    named = file_meta_value(header, "TransferSyntaxUID")
    if named:
        uid = UID(named)
        if not uid.is_transfer_syntax:
            raise NotImplementedError("its transfer syntax is not known")
        return uid
    implicit, little_endian = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian


def file_meta_value(header: Dataset, keyword: str) -> Any:  # noqa: ANN401 - pydicom values are untyped
    """A value of the file meta information, None where there is none."""
    file_meta = getattr(header, "file_meta", None)
    return None if file_meta is None else read_value(file_meta, keyword)
