"""Header walk: the header of a plain file in one pass over its first bytes.

Most files are plain: file meta information, then elements of defined length in little endian, up to Pixel Data. pydicom
reads them through a general machine, which for a series takes longer than reading its pixels. This walk makes the same
raw elements, which pydicom goes on to convert; whatever is not plain it leaves to pydicom. A test compares both over
every file that we have.
"""

from __future__ import annotations

import functools
from struct import Struct
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement, convert_raw_data_element, empty_value_for_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

if TYPE_CHECKING:
    from collections.abc import Callable

PREFIX_BYTES = 132
"""128 of any kind and DICM (PS3.10 7.1)."""
PIXEL_TAGS = frozenset({Tag("PixelData"), Tag("FloatPixelData"), Tag("DoubleFloatPixelData")})
FIRST_DATA_SET_TAG = 0x00030000
"""The file meta information is group 2."""
CHARACTER_SET_TAG = Tag("SpecificCharacterSet")
TRANSFER_SYNTAX_TAG = Tag("TransferSyntaxUID")
SHORT = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_16}
"""VRs with a length of 16 bits (PS3.5 table 7.1-2)."""
LONG = {vr.encode(): str(vr) for vr in EXPLICIT_VR_LENGTH_32}
"""VRs with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1)."""
EXPLICIT = Struct("<HH2sH").unpack_from
IMPLICIT = Struct("<HHI").unpack_from
LENGTH = Struct("<I").unpack_from

known_tag = functools.lru_cache(maxsize=8192)(BaseTag)
"""One object a tag: pydicom compares tags that are not the same object in Python."""
Elements = dict[BaseTag, RawDataElement]


class NotPlain(Exception):
    """A file that is not plain."""


def walk_header(head: bytes) -> tuple[Dataset, int] | None:
    """The header of a plain file.

    Args:
        head: The file's first bytes, or all of them.

    Returns:
        The data set up to its pixels, with file meta information, and where the element of the pixels begins; None
        where the file is not plain, or the header longer than `head`.
    """
    if head[PREFIX_BYTES - 4 : PREFIX_BYTES] != b"DICM":
        return None
    try:
        meta, begin = _walk(head, PREFIX_BYTES, lambda tag: tag >= FIRST_DATA_SET_TAG, implicit=False)
        implicit = _is_implicit(meta)
        elements, end = _walk(head, begin, PIXEL_TAGS.__contains__, implicit=implicit)
        return _data_set(meta, elements, implicit=implicit), end
    except NotPlain:
        return None


def _is_implicit(meta: Elements) -> bool:
    """Whether the data set has no VRs.

    Raises:
        NotPlain: If the transfer syntax is none, deflated, big endian or private.
    """
    item = meta.get(TRANSFER_SYNTAX_TAG)
    syntax = UID((item.value or b"").decode("ascii", "replace").rstrip("\0 ")) if item is not None else UID("")
    if not syntax.is_transfer_syntax or syntax.is_private or syntax.is_deflated or syntax == ExplicitVRBigEndian:
        raise NotPlain
    return syntax == ImplicitVRLittleEndian


def _walk(head: bytes, at: int, ends: Callable[[int], bool], *, implicit: bool) -> tuple[Elements, int]:
    """Elements from a place on until one that ends the walk.

    Raises:
        NotPlain: If there is an unknown VR, an undefined length, a tag that does not ascend, or not enough bytes.
    """
    elements: Elements = {}
    last, size = -1, len(head)
    while at + 12 <= size:
        group, element, vr_bytes, length = EXPLICIT(head, at)
        tag = group << 16 | element
        if ends(tag):
            return elements, at
        value, vr = at + 8, None
        if implicit:
            (length,) = LENGTH(head, at + 4)
        elif (vr := SHORT.get(vr_bytes)) is None:
            vr = LONG.get(vr_bytes)
            (length,) = LENGTH(head, value)
            value += 4
        at = value + length
        if at > size or tag <= last or (vr is None and not implicit):
            raise NotPlain
        content = head[value:at] if length else empty_value_for_VR(vr, raw=True)
        named = known_tag(tag)
        # The tuple itself: a header has some hundred elements, and a named tuple's constructor takes them one by one.
        elements[named] = tuple.__new__(
            RawDataElement, (named, vr, length, content, value, implicit, True, True, False)
        )
        last = tag
    raise NotPlain


def _data_set(meta: Elements, elements: Elements, *, implicit: bool) -> Dataset:
    header = Dataset(elements)  # type: ignore[arg-type]
    item = elements.get(CHARACTER_SET_TAG)
    encodings = default_encoding if item is None else _encodings(item)
    header.set_original_encoding(implicit, True, encodings)
    header.file_meta = FileMetaDataset(meta)  # type: ignore[arg-type]
    header.file_meta.set_original_encoding(False, True, default_encoding)
    return header


@functools.lru_cache(maxsize=64)
def _encodings(character_set: RawDataElement) -> list[str]:
    """Python's encodings for Specific Character Set (0008,0005), in which files of a series agree."""
    return convert_encodings(convert_raw_data_element(character_set).value)
