"""Mutations: of bytes, and of elements; each is made again from its seed."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

from pydicom import uid

from tests.fuzz.corpus import element
from tests.fuzz.elements import (
    DEFLATED,
    LONG,
    PIXEL_DATA,
    SHORT,
    UNDEFINED,
    Element,
    Encoding,
    File,
    NotStrict,
    read_file,
    tag_of,
    write_element,
    write_elements,
    write_file,
    write_item,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = (0, 1, 2, 0x20, 0x2D, 0x2E, 0x30, 0x39, 0x45, 0x5C, 0x5F, 0x7F, 0x80, 0xFE, 0xFF)
WORDS = (0, 1, 2, 8, 0x10, 0x20, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)
LONGS = (0, 1, 2, 0x10, 0x400, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
TEXT = b"0123456789.-+eE\\_ nain"


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """One to four changes anywhere in a file."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if changed:
            rng.choice(BYTE_CHANGES)(changed, rng)
    return bytes(changed)


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_byte(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] = rng.choice(BYTES)


def _set_number(data: bytearray, rng: random.Random) -> None:
    form, numbers = rng.choice((("<H", WORDS), (">H", WORDS), ("<I", LONGS), (">I", LONGS)))
    number = struct.pack(form, rng.choice(numbers))
    at = rng.randrange(len(data))
    data[at : at + len(number)] = number


def _set_text(data: bytearray, rng: random.Random) -> None:
    """Another character where text stands."""
    places = [i for i, byte in enumerate(data) if byte in TEXT]
    if places:
        data[rng.choice(places)] = rng.choice(TEXT)


def _delete(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 2, 4, 8, 64))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((1, 2, 8, 32, 256))]


def _insert(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 16)))


def _swap(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((2, 4, 8, 32))
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


BYTE_CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    _flip, _flip, _set_byte, _set_byte, _set_number, _set_text, _set_text, _delete, _repeat, _insert, _swap, _cut,
)  # fmt: skip

NUMBER_KEYWORDS = (
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
    "SliceThickness", "SpacingBetweenSlices",
)  # fmt: skip
COUNT_KEYWORDS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
    "PlanarConfiguration", "PixelPaddingValue", "PixelPaddingRangeLimit",
)  # fmt: skip
TEXT_KEYWORDS = (
    "PhotometricInterpretation", "ImageType", "Modality", "PatientID", "StudyInstanceUID", "SeriesInstanceUID",
    "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID", "RescaleType", "SpecificCharacterSet", "EchoTime",
    "AcquisitionNumber", "InstanceNumber", "AcquisitionMatrix", "SeriesDescription",
)  # fmt: skip
SEQUENCE_KEYWORDS = (
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "ModalityLUTSequence",
    "ReferencedStudySequence", "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
    "PixelValueTransformationSequence",
)  # fmt: skip
ALL_KEYWORDS = (*NUMBER_KEYWORDS, *COUNT_KEYWORDS, *TEXT_KEYWORDS, *SEQUENCE_KEYWORDS, "NumberOfFrames")
DECIMALS = (
    b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e-320", b"0", b"-0", b"-1", b"1_0", b"", b" ", b"\\", b"\\\\\\",
    b"1\\1", b"0\\0\\0", b"1\\0\\0\\0\\0\\1", b"0x10", b"1e5", b"20.5", b"1.5.2", b" 1 ", b"+1", b"1,5", b"\xff\xfe",
    b"1e", b"infinity", b"0.0000001", b"99999999999999999999999999", b"1\0", b"0.7\\0.9\\", b"-0.7\\0.9", b"1\n",
    "\u0661".encode(),
)  # fmt: skip
COUNTS = (0, 1, 2, 7, 8, 12, 13, 15, 16, 17, 24, 32, 64, 255, 256, 257, 4096, 16384, 16385, 0x7FFF, 0x8000, 0xFFFF)
FRAME_COUNTS = (
    b"0",
    b"-1",
    b"1",
    b"2",
    b"4",
    b"6",
    b"100000",
    b"99999999999999999999",
    b"1e3",
    b"nan",
    b"5_0",
    b"4.0",
    b"",
)
SYNTAXES = (
    *uid.AllTransferSyntaxes, "1.2.840.10008.1.2.4.", "1.2.3", "", "not a uid", uid.CTImageStorage,
    "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.20",
)  # fmt: skip
CLASSES = (
    uid.CTImageStorage, uid.MRImageStorage, uid.EnhancedCTImageStorage, uid.EnhancedMRImageStorage,
    uid.SegmentationStorage, uid.SecondaryCaptureImageStorage, uid.MediaStorageDirectoryStorage, "", "1.2.3", "\\",
)  # fmt: skip
VRS = (*sorted(SHORT | LONG), "??", "\0\0", "  ", "ZZ")
LENGTHS = (0, 1, 2, 3, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, UNDEFINED)


def set_decimal(file: File, rng: random.Random) -> File:
    keyword = rng.choice(NUMBER_KEYWORDS)
    return _everywhere(file, keyword, lambda e: replace(e, value=rng.choice(DECIMALS)))


def set_one_decimal(file: File, rng: random.Random) -> File:
    """One number of several: PixelSpacing of which one is negative."""

    def change(e: Element) -> Element:
        if not isinstance(e.value, bytes):
            return e
        parts = e.value.split(b"\\")
        parts[rng.randrange(len(parts))] = rng.choice(DECIMALS)
        return replace(e, value=b"\\".join(parts))

    return _everywhere(file, rng.choice(NUMBER_KEYWORDS), change)


def set_count(file: File, rng: random.Random) -> File:
    numbers = tuple(rng.choice(COUNTS) for _ in range(rng.choice((1, 1, 1, 1, 0, 2))))
    return _everywhere(file, rng.choice(COUNT_KEYWORDS), lambda e: element(e.tag, "US", numbers, file.encoding))


def set_matrix(file: File, rng: random.Random) -> File:
    """A huge picture, with Pixel Data that say that they are as long."""
    rows, columns = rng.choice(COUNTS), rng.choice(COUNTS)
    for keyword, number in (("Rows", rows), ("Columns", columns)):
        file = file.put(element(keyword, "US", number, file.encoding))
    return _everywhere(file, "PixelData", lambda e: replace(e, length=rng.choice((None, rows * columns * 2))))


def set_frames(file: File, rng: random.Random) -> File:
    return file.put(Element(tag_of("NumberOfFrames"), "IS", rng.choice(FRAME_COUNTS)))


def set_text(file: File, rng: random.Random) -> File:
    text = rng.choice((b"", b"\\", b"LOCALIZER", b"\xff\xfe\x1b$B", b"\0" * 8, b"A" * 300, b"1.2.3", b"MOSAIC\\MOSAIC"))
    return _everywhere(file, rng.choice(TEXT_KEYWORDS), lambda e: replace(e, value=text))


def set_class(file: File, rng: random.Random) -> File:
    return file.put(element("SOPClassUID", "UI", rng.choice(CLASSES)))


def set_vr(file: File, rng: random.Random) -> File:
    vr = rng.choice(VRS)
    return _everywhere(file, rng.choice(ALL_KEYWORDS), lambda e: replace(e, vr=vr))


def set_vr_of_meta(file: File, rng: random.Random) -> File:
    changed = list(file.meta)
    if changed:
        index = rng.randrange(len(changed))
        changed[index] = replace(changed[index], vr=rng.choice(VRS))
    return replace(file, meta=tuple(changed))


def set_length(file: File, rng: random.Random) -> File:
    def change(e: Element) -> Element:
        near = len(e.value) + rng.choice((-2, -1, 1, 2)) if isinstance(e.value, bytes) else 8
        return replace(e, length=max(0, rng.choice((near, *LENGTHS))))

    return _everywhere(file, rng.choice((*ALL_KEYWORDS, "PixelData", "PatientName")), change)


def remove(file: File, rng: random.Random) -> File:
    return file.without(tag_of(rng.choice((*ALL_KEYWORDS, "PixelData"))))


def duplicate(file: File, rng: random.Random) -> File:
    """The same tag twice, the second time with another value."""
    index = rng.randrange(len(file.elements))
    copy = file.elements[index]
    if isinstance(copy.value, bytes) and rng.random() < 0.7:
        copy = replace(copy, value=rng.choice((b"", b"2", b"\1\0", b"0.5\\0.5", copy.value[::-1])))
    at = rng.choice((index, index + 1))
    return replace(file, elements=(*file.elements[:at], copy, *file.elements[at:]))


def reorder(file: File, rng: random.Random) -> File:
    elements = list(file.elements)
    a, b = rng.randrange(len(elements)), rng.randrange(len(elements))
    elements[a], elements[b] = elements[b], elements[a]
    return replace(file, elements=tuple(elements))


def nest(file: File, rng: random.Random) -> File:
    """Sequences in sequences, far too deep."""
    depth, defined = rng.choice((5, 100, 1000)), rng.random() < 0.5
    inner: bytes = b""
    encoding = file.encoding
    tag = tag_of(rng.choice(("ReferencedStudySequence", "ReferencedImageSequence", *SEQUENCE_KEYWORDS)))
    for _ in range(depth):
        length = None if defined else UNDEFINED
        body = write_item(inner, encoding)
        if not defined:
            body += struct.pack(f"{encoding.order}HHI", 0xFFFE, 0xE0DD, 0)
        inner = write_element(Element(tag, "SQ" if defined else "OB", body, length), encoding)
        if not defined and not encoding.implicit:
            inner = inner[:4] + b"SQ" + inner[6:]
    body = write_item(inner, encoding)
    return file.put(Element(tag, "UN" if rng.random() < 0.2 else "SQ", body))


def set_syntax(file: File, rng: random.Random) -> File:
    """Another transfer syntax in the file meta information than the data set is written in."""
    value = str(rng.choice(SYNTAXES))
    meta = tuple(element(e.tag, "UI", value) if e.tag == 0x00020010 else e for e in file.meta)
    return replace(file, meta=meta)


def rewrite(file: File, rng: random.Random) -> File:
    """The data set written in another encoding than the file meta information says."""
    encoding = Encoding(rng.random() < 0.5, rng.random() < 0.5)
    return replace(file, encoding=encoding)


def set_fragments(file: File, rng: random.Random) -> File:
    """Encapsulated pixels with lying offsets, lengths and ends."""
    pixels = file.get("PixelData")
    if pixels is None or not isinstance(pixels.value, list) or len(pixels.value) < 2:
        return file
    table, *frames = pixels.value
    kind = rng.randrange(8)
    if kind == 0:
        table = struct.pack("<I", rng.choice(LONGS)) * rng.choice((1, 2, len(frames), 1000))
    elif kind == 1:
        frames = [frames[0][: len(frames[0]) // 2 * 1], *frames]
    elif kind == 2:
        frames = frames[:-1]
    elif kind == 3:
        half = len(frames[0]) // 4 * 2
        frames = [frames[0][:half], frames[0][half:], *frames[1:]]
    elif kind == 4:
        rng.shuffle(frames)
    elif kind == 5:
        table, frames = b"", [b"", *frames, b""]
    else:
        return _lying_fragments(file, pixels, rng)
    return file.put(replace(pixels, value=[table, *frames]))


def _lying_fragments(file: File, pixels: Element, rng: random.Random) -> File:
    assert isinstance(pixels.value, list)
    wrong = rng.randrange(len(pixels.value))
    body = b"".join(
        write_item(f, file.encoding, rng.choice(LONGS) if i == wrong else None) for i, f in enumerate(pixels.value)
    )
    return file.put(Element(PIXEL_DATA, "OB", body, UNDEFINED))


def set_offsets(file: File, rng: random.Random) -> File:
    """An Extended Offset Table (7FE0,0001) that lies (PS3.3 C.7.6.3.1.8)."""
    for tag in (0x7FE00001, 0x7FE00002):
        file = file.put(
            Element(tag, "OV", struct.pack("<Q", rng.choice((0, 1, 2**31, 2**63, 2**64 - 1))) * rng.choice((1, 4)))
        )
    return file


def set_groups(file: File, rng: random.Random) -> File:
    """Functional groups duplicated, missing, empty, or in another order."""
    keyword = rng.choice(SEQUENCE_KEYWORDS)

    def change(e: Element) -> Element:
        if not isinstance(e.value, tuple) or not e.value:
            return e
        items = list(e.value)
        index = rng.randrange(len(items))
        kind = rng.randrange(5)
        if kind == 0:
            del items[index]
        elif kind == 1:
            items.insert(index, items[index])
        elif kind == 2:
            items[index] = ()
        elif kind == 3:
            items.reverse()
        else:
            items = []
        return replace(e, value=tuple(items))

    return _everywhere(file, keyword, change)


def set_pixels(file: File, rng: random.Random) -> File:
    """Native pixels of another length, or under another tag."""
    pixels = file.get("PixelData")
    if pixels is None or not isinstance(pixels.value, bytes):
        return file
    kind = rng.randrange(4)
    if kind == 0:
        return file.put(replace(pixels, value=pixels.value + b"\0" * rng.choice((1, 2, 3, 1000))))
    if kind == 1:
        return file.put(replace(pixels, value=pixels.value[: -rng.choice((1, 2, 3, 100))]))
    if kind == 2:
        return file.put(replace(pixels, vr=rng.choice(VRS)))
    return file.without(PIXEL_DATA).put(replace(pixels, tag=rng.choice((0x7FE00008, 0x7FE00009, 0x7FE00020))))


def bomb(file: File, rng: random.Random) -> File:
    """A private element that deflates to next to nothing."""
    return file.put(Element(0x00091002, "OB", b"\0" * rng.choice((10**5, 10**6, 5 * 10**6))))


def add_private(file: File, rng: random.Random) -> File:
    """What no loader may care about."""
    file = file.put(element(0x000B0010, "LO", "SOMEBODY"))
    for number in range(0x1000, 0x1004):
        vr = rng.choice(("UN", "OB", "LT", "UT"))
        file = file.put(Element(0x000B0000 | number, vr, rng.randbytes(rng.choice((0, 2, 30)))))
    return file


def rename(file: File, rng: random.Random) -> File:
    """Text that means nothing to a volume, in bytes of no character set."""
    keyword, vr = rng.choice((("PatientName", "PN"), ("StudyDescription", "LO"), ("ReferringPhysicianName", "PN")))
    value = bytes(byte if byte != 0x5C else 0x20 for byte in rng.randbytes(rng.choice((0, 2, 20, 64))))
    return file.put(Element(tag_of(keyword), vr, value))


def reference(file: File, rng: random.Random) -> File:
    """Sequences that mean nothing to a volume, a few levels deep."""
    item: tuple[Element, ...] = (element("ReferencedSOPInstanceUID", "UI", "1.2.3"), element("RescaleSlope", "DS", "7"))
    for _ in range(rng.randrange(1, 9)):
        item = (Element(tag_of("ReferencedImageSequence"), "SQ", (item,), defined=rng.random() < 0.5),)
    return file.put(item[0])


HARMLESS: dict[str, Callable[[File, random.Random], File]] = {
    edit.__name__: edit for edit in (add_private, rename, reference)
}
"""Edits after which the volume has to be the same as before."""
EDITS: dict[str, Callable[[File, random.Random], File]] = HARMLESS | {
    edit.__name__: edit
    for edit in (
        set_decimal, set_one_decimal, set_count, set_matrix, set_frames, set_text, set_class, set_vr, set_vr_of_meta,
        set_length, remove, duplicate, reorder, nest, set_syntax, rewrite, set_fragments, set_offsets, set_groups,
        set_pixels, bomb,
    )
}  # fmt: skip


def edit_file(data: bytes, name: str, seed: int) -> bytes:
    """A file after one edit; without a preamble its bytes are mutated instead."""
    rng = random.Random(seed)
    try:
        file = read_file(data)
    except NotStrict:
        return mutate_bytes(data, rng)
    return write_file(EDITS[name](file, rng))


def cut_at_boundary(data: bytes, seed: int) -> bytes:
    """A file that ends before, in or behind an element: its tag, VR, length or value."""
    rng = random.Random(seed)
    try:
        file = read_file(data)
    except NotStrict:
        return data[: rng.randrange(len(data))]
    count = rng.randrange(len(file.elements))
    whole = write_elements(file.elements[:count], file.encoding)
    end = len(whole) + rng.choice((0, 2, 4, 6, 8, 9, 10, 12, 13))
    body = write_elements(file.elements, file.encoding)[:end]
    if file.syntax == DEFLATED:
        return data[: rng.randrange(len(data))]
    return data[: len(data) - len(write_elements(file.elements, file.encoding))] + body


def _everywhere(file: File, keyword: str, change: Callable[[Element], Element]) -> File:
    """Change an element wherever it stands, in items too; it is added where it is nowhere."""
    tag = tag_of(keyword)
    elements, found = _changed(file.elements, tag, change)
    if not found:
        return file.put(change(Element(tag, "LO", b"")))
    return replace(file, elements=elements)


def _changed(
    elements: tuple[Element, ...], tag: int, change: Callable[[Element], Element]
) -> tuple[tuple[Element, ...], bool]:
    made, found = [], False
    for e in elements:
        if e.tag == tag:
            made.append(change(e))
            found = True
        elif isinstance(e.value, tuple):
            items = [_changed(item, tag, change) for item in e.value]
            found = found or any(hit for _, hit in items)
            made.append(replace(e, value=tuple(item for item, _ in items)))
        else:
            made.append(e)
    return tuple(made), found
