"""Elements: a reader and writer of DICOM files of our own (PS3.5 7, PS3.10 7), which share no defect with pydicom.

The reader is strict: what the standard does not allow is `NotStrict`. The writer is not: lengths may lie.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace

from pydicom.datadict import dictionary_VR, tag_for_keyword

LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1)."""
SHORT = frozenset({
    "AE", "AS", "AT", "CS", "DA", "DS", "DT", "FL", "FD", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM", "UI",
    "UL", "US",
})  # fmt: skip
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
DEFLATED, BIG_ENDIAN, IMPLICIT = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"
NATIVE = frozenset({IMPLICIT, "1.2.840.10008.1.2.1", DEFLATED, BIG_ENDIAN})
DEEPEST = 200


class NotStrict(Exception):
    """The bytes are no data set as the standard defines it."""


def tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


@dataclass(frozen=True)
class Encoding:
    """How elements are written."""

    implicit: bool = False
    big: bool = False

    @property
    def order(self) -> str:
        return ">" if self.big else "<"

    @classmethod
    def of(cls, syntax: str) -> Encoding:
        return cls(syntax == IMPLICIT, syntax == BIG_ENDIAN)


META = Encoding()


@dataclass(frozen=True)
class Element:
    """One element.

    Attributes:
        tag: Group and element, as one number.
        vr: Two characters, of any kind.
        value: Bytes; the items of a sequence; the fragments of encapsulated pixels.
        length: What the length field says, where it lies.
        defined: Whether a sequence is written with its length.
    """

    tag: int
    vr: str
    value: bytes | tuple[tuple[Element, ...], ...] | list[bytes]
    length: int | None = None
    defined: bool = False


@dataclass(frozen=True)
class File:
    """A file, taken apart; `twice` are tags that stand there more than once, with different values."""

    meta: tuple[Element, ...]
    elements: tuple[Element, ...]
    preamble: bytes = b"\0" * 128 + b"DICM"
    syntax: str = "1.2.840.10008.1.2.1"
    encoding: Encoding = field(default_factory=Encoding)
    twice: frozenset[int] = frozenset()

    def get(self, keyword: str) -> Element | None:
        return find(self.elements, tag_of(keyword))

    def put(self, element: Element) -> File:
        """With one element instead of those of its tag, in its place in the order of tags."""
        others = [e for e in self.elements if e.tag != element.tag]
        return replace(self, elements=tuple(sorted([*others, element], key=lambda e: e.tag)))

    def without(self, tag: int) -> File:
        return replace(self, elements=tuple(e for e in self.elements if e.tag != tag))


def find(elements: tuple[Element, ...], tag: int) -> Element | None:
    """The element of a tag."""
    return next((e for e in elements if e.tag == tag), None)


def write_file(file: File) -> bytes:
    """The bytes of a file."""
    meta = write_elements(file.meta, META)
    data = write_elements(file.elements, file.encoding)
    if file.syntax == DEFLATED:
        squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = squeeze.compress(data) + squeeze.flush()
    return file.preamble + meta + data


def write_elements(elements: tuple[Element, ...], encoding: Encoding) -> bytes:
    """Elements one after the other."""
    return b"".join(write_element(element, encoding) for element in elements)


def write_element(element: Element, encoding: Encoding) -> bytes:
    """One element, its length as it says or as it is."""
    body, length = _body(element, encoding)
    length = length if element.length is None else element.length
    start = struct.pack(f"{encoding.order}HH", element.tag >> 16, element.tag & 0xFFFF)
    if encoding.implicit:
        return start + struct.pack("<I", length & UNDEFINED) + body
    vr = element.vr.encode("latin-1")
    if element.vr in LONG:
        return start + vr + b"\0\0" + struct.pack(f"{encoding.order}I", length & UNDEFINED) + body
    return start + vr + struct.pack(f"{encoding.order}H", length & 0xFFFF) + body


def _body(element: Element, encoding: Encoding) -> tuple[bytes, int]:
    if isinstance(element.value, bytes):
        padded = element.value + b"\0" * (len(element.value) % 2)
        return padded, len(padded)
    if isinstance(element.value, list):
        return b"".join(write_item(f, encoding) for f in element.value) + _mark(SEQUENCE_END, 0, encoding), UNDEFINED
    items = [write_elements(item, encoding) for item in element.value]
    if element.defined:
        body = b"".join(write_item(item, encoding) for item in items)
        return body, len(body)
    body = b"".join(_mark(ITEM, UNDEFINED, encoding) + item + _mark(ITEM_END, 0, encoding) for item in items)
    return body + _mark(SEQUENCE_END, 0, encoding), UNDEFINED


def write_item(body: bytes, encoding: Encoding, length: int | None = None) -> bytes:
    """An item with its length, or with another one."""
    return _mark(ITEM, len(body) if length is None else length, encoding) + body


def _mark(tag: int, length: int, encoding: Encoding) -> bytes:
    return struct.pack(f"{encoding.order}HHI", tag >> 16, tag & 0xFFFF, length & UNDEFINED)


def read_file(data: bytes) -> File:
    """Take a file apart, up to and with Pixel Data; without a preamble it is taken for Explicit VR Little Endian.

    Raises:
        NotStrict: If it is none that the standard allows.
    """
    if data[128:132] != b"DICM":
        if data[:4] != b"\x08\0\0\0":
            raise NotStrict("neither prefix nor group length")
        elements = _Reader(data, META).elements(0, len(data))[0]
        return File((), elements, preamble=b"", twice=_twice(elements))
    meta, at = _Reader(data, META).elements(132, len(data), group=2)
    uid = find(meta, 0x00020010)
    syntax = uid.value.rstrip(b"\0 ").decode("latin-1") if uid and isinstance(uid.value, bytes) else ""
    if not syntax:
        raise NotStrict("no transfer syntax")
    body = data[at:]
    if syntax == DEFLATED:
        try:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, 2**28)
        except zlib.error as error:
            raise NotStrict("not deflated") from error
    encoding = Encoding.of(syntax)
    elements, _ = _Reader(body, encoding).elements(0, len(body))
    return File(meta, elements, data[:132], syntax, encoding, _twice(elements))


def _twice(elements: tuple[Element, ...]) -> frozenset[int]:
    found: dict[int, list[Element]] = {}
    for element in elements:
        found.setdefault(element.tag, []).append(element)
        if isinstance(element.value, tuple):
            for item in element.value:
                # Of items only whether: the pair is one of elements that differ.
                found.update({tag: [element, item[0]] for tag in _twice(item)})
    return frozenset(tag for tag, same in found.items() if any(one != same[0] for one in same))


class _Reader:
    def __init__(self, data: bytes, encoding: Encoding) -> None:
        self.data, self.encoding = data, encoding

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(self.encoding.order + form, self.data, at)
        except struct.error as error:
            raise NotStrict("it ends too early") from error

    def tag(self, at: int) -> int:
        group, number = self.unpack("HH", at)
        return group << 16 | number

    def elements(
        self, at: int, end: int, *, group: int | None = None, in_item: bool = False, depth: int = 0
    ) -> tuple[tuple[Element, ...], int]:
        """Elements up to `end`, to the end of the group, to the end of an item, or with Pixel Data.

        Raises:
            NotStrict: If an item does not end.
        """
        found: list[Element] = []
        while at < end:
            tag = self.tag(at)
            if in_item and tag == ITEM_END:
                return tuple(found), at + 8
            if group is not None and tag >> 16 != group:
                break
            element, at = self.element(at, end, depth)
            found.append(element)
            if tag == PIXEL_DATA and not depth:
                break
        if in_item and end == UNDEFINED:
            raise NotStrict("an item without an end")
        return tuple(found), at

    def head(self, at: int) -> tuple[int, str, int, int]:
        tag = self.tag(at)
        if self.encoding.implicit:
            return tag, _vr_of(tag), self.unpack("I", at + 4)[0], at + 8
        vr = self.data[at + 4 : at + 6].decode("latin-1")
        if vr in LONG:
            return tag, vr, self.unpack("I", at + 8)[0], at + 12
        if vr not in SHORT:
            raise NotStrict("no VR")
        return tag, vr, self.unpack("H", at + 6)[0], at + 8

    def element(self, at: int, end: int, depth: int) -> tuple[Element, int]:
        tag, vr, length, at = self.head(at)
        if depth > DEEPEST:
            raise NotStrict("too deep")
        if length == UNDEFINED:
            if tag == PIXEL_DATA:
                fragments, at = self.fragments(at)
                return Element(tag, vr, fragments), at
            if vr not in {"SQ", "UN"}:
                raise NotStrict("undefined length of no sequence")
            reader = self if vr == "SQ" else _Reader(self.data, Encoding(implicit=True))
            items, at = reader.items(at, UNDEFINED, depth)
            return Element(tag, vr, items), at
        if at + length > min(end, len(self.data)):
            raise NotStrict("longer than what holds it")
        if vr == "SQ":
            items, _ = self.items(at, at + length, depth)
            return Element(tag, vr, items, defined=True), at + length
        return Element(tag, vr, self.data[at : at + length]), at + length

    def items(self, at: int, end: int, depth: int) -> tuple[tuple[tuple[Element, ...], ...], int]:
        found = []
        while at < end:
            tag, (length,), at = self.tag(at), self.unpack("I", at + 4), at + 8
            if tag == SEQUENCE_END and end == UNDEFINED:
                return tuple(found), at
            if tag != ITEM:
                raise NotStrict("no item")
            stop = UNDEFINED if length == UNDEFINED else at + length
            if stop != UNDEFINED and stop > min(end, len(self.data)):
                raise NotStrict("an item longer than what holds it")
            elements, at = self.elements(at, stop, in_item=stop == UNDEFINED, depth=depth + 1)
            found.append(elements)
        return tuple(found), at

    def fragments(self, at: int) -> tuple[list[bytes], int]:
        """Up to the first that is none: what a damaged one holds is not ours to say."""
        found = []
        while at + 8 <= len(self.data):
            tag, (length,), at = self.tag(at), self.unpack("I", at + 4), at + 8
            if tag != ITEM or at + length > len(self.data):
                break
            found.append(self.data[at : at + length])
            at += length
        return found, at


def _vr_of(tag: int) -> str:
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        return "LO" if tag >> 16 & 1 and tag & 0xFFFF < 0x100 else "UN"
    return vr[:2]
