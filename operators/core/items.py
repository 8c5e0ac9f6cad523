"""Items: encoded sequences read as they lie in the file, without pydicom's objects.

A Segmentation has thousands of items, a report hundreds; pydicom's objects for them take seconds, and checks look at
few of their values. Here an item knows where its values lie and reads those that are asked for.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_deferred_data_element
from pydicom.filewriter import write_data_element
from pydicom.tag import Tag

from operators.core.header import UNDEFINED_LENGTH
from operators.core.header_walk import EXPLICIT, IMPLICIT, LENGTH, LONG, SHORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
"""Tags around items (PS3.5 7.5)."""
HEADER_BYTES = 12
"""Tag, VR, two reserved bytes and length of a sequence (PS3.5 7.1.2)."""


@functools.cache
def tag_of(keyword: str) -> int:
    """The tag as a plain number."""
    return int(Tag(keyword))


class Item:
    """One item of an encoded sequence.

    Attributes:
        data: What it lies in.
        places: Where each value lies, or the items of a sequence, by tag.
    """

    __slots__ = ("data", "places")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.places: dict[int, slice | list[Item]] = {}

    def __contains__(self, keyword: str) -> bool:
        return tag_of(keyword) in self.places

    def place(self, keyword: str) -> slice | None:
        """Where the value lies; None where it is absent or a sequence."""
        place = self.places.get(tag_of(keyword))
        return place if isinstance(place, slice) else None

    def value(self, keyword: str) -> bytes:
        """The encoded value, empty where it is absent."""
        place = self.place(keyword)
        return b"" if place is None else self.data[place]

    def text(self, keyword: str) -> str:
        """The value as text of the basic repertoire, without padding (PS3.5 6.2)."""
        return self.value(keyword).decode("iso8859").strip(" \0")

    def numbers(self, keyword: str) -> tuple[int, ...]:
        """The values of an unsigned integer of 16 bits (US)."""
        value = self.value(keyword)
        return tuple(int.from_bytes(value[at : at + 2], "little") for at in range(0, len(value), 2))

    def number(self, keyword: str) -> int:
        """The first of them; -1 where it is absent or empty."""
        return next(iter(self.numbers(keyword)), -1)

    def items(self, keyword: str) -> list[Item]:
        """The items of a sequence; none where it is absent."""
        items = self.places.get(tag_of(keyword))
        return items if isinstance(items, list) else []

    def first(self, keyword: str) -> Item:
        """The first item of a sequence; an empty one where there is none."""
        items = self.items(keyword)
        return items[0] if items else Item(b"")

    def sequences(self) -> Iterator[tuple[int, list[Item]]]:
        """Tag and items of every sequence."""
        for tag, items in self.places.items():
            if isinstance(items, list):
                yield tag, items


@dataclass(frozen=True)
class Encoded:
    """A sequence as it is encoded, in little endian.

    Attributes:
        data: Its items.
        implicit: Whether elements are without their VR (PS3.5 7.1.3).
    """

    data: bytes
    implicit: bool


def encoded_items(dataset: Dataset, keyword: str) -> Encoded:
    """The value of a sequence.

    Args:
        dataset: Any data set; what pydicom has not taken apart yet costs nothing.
        keyword: A sequence.

    Returns:
        Its items as they are in the file, or encoded by pydicom where they are not there in little endian and with
        their length.
    """
    element = dataset.get_item(Tag(keyword), keep_deferred=True)
    if element is None:
        return Encoded(b"", implicit=False)
    if isinstance(element, RawDataElement) and element.is_little_endian and element.length != UNDEFINED_LENGTH:
        if element.value is None and element.length:
            element = read_deferred_data_element(dataset.fileobj_type, dataset.filename, dataset.timestamp, element)
        return Encoded(element.value or b"", element.is_implicit_VR)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says of values that are none what they are
        write_data_element(buffer, dataset[keyword], ["utf8"])
    header, data = buffer.getvalue()[:HEADER_BYTES], buffer.getvalue()[HEADER_BYTES:]
    # A sequence of undefined length ends with a delimiter, which is none of its items.
    return Encoded(data[:-8] if LENGTH(header, 8)[0] == UNDEFINED_LENGTH else data, implicit=False)


def parse_items(encoded: Encoded) -> list[Item]:
    """The items of a sequence.

    Args:
        encoded: The sequence.

    Returns:
        The items.

    Raises:
        ValueError: If the bytes are no items; struct.error where they end too early.
    """
    items, end = _walk_items(encoded, 0, len(encoded.data))
    if end != len(encoded.data):
        raise ValueError("bytes are left over behind the items of a sequence (PS3.5 7.5)")
    return items


def walk_item(encoded: Encoded, at: int) -> tuple[Item, int]:
    """One item and where it ends.

    Raises:
        ValueError: If there is no item (PS3.5 7.5).
    """
    tag, length = _item_header(encoded.data, at)
    if tag != ITEM:
        raise ValueError("a sequence holds something that is no item (PS3.5 7.5)")
    begin = at + 8
    end = len(encoded.data) if length == UNDEFINED_LENGTH else begin + length
    if end > len(encoded.data):
        raise ValueError("an item is longer than its sequence (PS3.5 7.5)")
    return _walk_elements(encoded, begin, end)


def _item_header(data: bytes, at: int) -> tuple[int, int]:
    group, element, length = IMPLICIT(data, at)
    return group << 16 | element, length


def _walk_items(encoded: Encoded, at: int, end: int) -> tuple[list[Item], int]:
    items: list[Item] = []
    while at < end:
        if _item_header(encoded.data, at)[0] == SEQUENCE_END:
            return items, at + 8
        item, at = walk_item(encoded, at)
        items.append(item)
    return items, at


def _walk_elements(encoded: Encoded, at: int, end: int) -> tuple[Item, int]:
    """Elements until the end, or until what ends an item of undefined length.

    Raises:
        ValueError: If an element goes beyond its item.
    """
    item = Item(encoded.data)
    places = item.places
    element_header = _without_vr if encoded.implicit else _with_vr
    while at < end:
        tag, is_sequence, value, length = element_header(encoded.data, at)
        if tag == ITEM_END:
            return item, at + 8
        if is_sequence:
            last = end if length == UNDEFINED_LENGTH else value + length
            places[tag], at = _walk_items(encoded, value, last)
        else:
            at = value + length
            places[tag] = slice(value, at)
        if at > end:
            raise ValueError("an element is longer than its item (PS3.5 7.5)")
    return item, at


def _with_vr(data: bytes, at: int) -> tuple[int, bool, int, int]:
    """Tag, whether it is a sequence, and where its value of which length begins, in Explicit VR (PS3.5 7.1.2).

    Raises:
        ValueError: If the VR is none.
    """
    group, element, vr, length = EXPLICIT(data, at)
    tag = group << 16 | element
    if vr in SHORT or tag == ITEM_END:
        return tag, False, at + 8, length
    if vr not in LONG:
        raise ValueError("an item has an element without a VR (PS3.5 7.1.2)")
    return tag, vr == b"SQ", at + HEADER_BYTES, LENGTH(data, at + 8)[0]


def _without_vr(data: bytes, at: int) -> tuple[int, bool, int, int]:
    """The same in Implicit VR (PS3.5 7.1.3); what nobody knows is no sequence."""
    group, element, length = IMPLICIT(data, at)
    tag = group << 16 | element
    return tag, _is_sequence(tag), at + 8, length


@functools.lru_cache(maxsize=8192)
def _is_sequence(tag: int) -> bool:
    return dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"


class PlainObject:
    """A data set whose sequences are read as items, each once.

    Attributes:
        dataset: The data set.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._items: dict[str, list[Item]] = {}

    def items(self, keyword: str) -> list[Item]:
        """The items of a sequence; none where it is absent."""
        if keyword not in self._items:
            self._items[keyword] = parse_items(encoded_items(self.dataset, keyword))
        return self._items[keyword]

    def sequences(self) -> Iterator[str]:
        """Keywords of the sequences that the data set has, private ones left out."""
        for tag in tuple(self.dataset.keys()):  # iterating over a data set converts its elements
            if _is_sequence(tag):
                yield keyword_for_tag(tag)
