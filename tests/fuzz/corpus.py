"""Corpus: small built series in every encoding and of every kind, which mutations start from."""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
from pydicom import uid

from operators.core.identity import derived_uid
from tests.fuzz.elements import (
    BIG_ENDIAN,
    DEFLATED,
    IMPLICIT,
    META,
    PIXEL_DATA,
    Element,
    Encoding,
    File,
    read_file,
    tag_of,
    write_element,
    write_elements,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NAME = "Fuzz^Patient"
"""Must never be in a message."""
ROWS, COLUMNS, SLICES = 12, 16, 4
STEP_MM = 2.5
EXPLICIT = "1.2.840.10008.1.2.1"
MOSAIC_TILES = 4
UNDEFINED_LENGTHS = ("signed", "mr", "jpeg_ls", "bare")
"""Series whose sequences end with a delimiter, as the other half of all devices writes them."""
CSA_TAG = 0x00291010


@dataclass(frozen=True)
class Entry:
    """One series: its files by name."""

    name: str
    files: dict[str, bytes]
    usable: bool = True


def pad(text: str, vr: str = "LO") -> bytes:
    """Text of even length (PS3.5 6.2)."""
    data = text.encode("latin-1")
    return data + (b"\0" if vr == "UI" else b" ") * (len(data) % 2)


NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FD": "d", "FL": "f"}


def element(keyword: str | int, vr: str, value: object, encoding: Encoding = META) -> Element:
    """An element of a value: text, numbers, bytes or items."""
    tag = tag_of(keyword) if isinstance(keyword, str) else keyword
    if vr in NUMBERS:
        numbers = value if isinstance(value, tuple) else (value,)
        return Element(tag, vr, struct.pack(f"{encoding.order}{len(numbers)}{NUMBERS[vr]}", *numbers))
    if isinstance(value, str):
        return Element(tag, vr, pad(value, vr))
    return Element(tag, vr, value)  # type: ignore[arg-type]


def stored_values(slices: int, rows: int, columns: int, *, bits: int = 12) -> NDArray[np.uint16]:
    """`(slices, rows, columns)`: no two slices alike, all of `bits` bits in use."""
    index = np.arange(slices * rows * columns, dtype=np.uint32)
    return ((index * 2654435761 >> 7) % 2**bits).astype(np.uint16).reshape(slices, rows, columns)


def _j2k(picture: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(picture, level=0, codecformat="j2k", reversible=True, bitspersample=12))


def _lossless(picture: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(picture, lossless=True, bitspersample=12))


def _jpegls(picture: NDArray[np.uint16]) -> bytes:
    return bytes(imagecodecs.jpegls_encode(picture))


def encode_rle(picture: NDArray[np.uint16]) -> bytes:
    """RLE of 16 bits (PS3.5 annex G): literal runs only, the high bytes first."""
    segments = []
    for plane in (picture >> 8, picture & 0xFF):
        data = plane.astype(np.uint8).tobytes()
        runs = [data[i : i + 128] for i in range(0, len(data), 128)]
        packed = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(packed + b"\0" * (len(packed) % 2))
    header = struct.pack("<16I", 2, 64, 64 + len(segments[0]), *([0] * 13))
    return header + b"".join(segments)


CODECS: dict[str, tuple[str, Callable[[NDArray[np.uint16]], bytes]]] = {
    "rle": (uid.RLELossless, encode_rle),
    "jpeg_2000": (uid.JPEG2000Lossless, _j2k),
    "jpeg_ls": (uid.JPEGLSLossless, _jpegls),
    "jpeg_lossless": (uid.JPEGLosslessSV1, _lossless),
}
known_codestreams: dict[bytes, NDArray[np.uint16]] = {}
"""The stored values of every compressed frame made here, by its SHA-256."""


def compress(picture: NDArray[np.uint16], codec: str) -> bytes:
    """A codestream of even length, remembered with what it holds."""
    data = CODECS[codec][1](picture)
    data += b"\0" * (len(data) % 2)
    known_codestreams[hashlib.sha256(data).digest()] = picture
    return data


def meta_of(sop_class: str, instance: str, syntax: str) -> tuple[Element, ...]:
    """File meta information (PS3.10 7.1)."""
    rest = (
        element(0x00020001, "OB", b"\0\1"),
        element(0x00020002, "UI", sop_class),
        element(0x00020003, "UI", instance),
        element(0x00020010, "UI", syntax),
        element(0x00020012, "UI", derived_uid("fuzz")),
    )
    return (element(0x00020000, "UL", len(write_elements(rest, META))), *rest)


def file_of(sop_class: str, index: int, syntax: str, specific: list[Element], seed: str) -> File:
    """A file with the modules that all have."""
    encoding, instance = Encoding.of(syntax), derived_uid(f"{seed}/{index}")
    common = [
        element("SpecificCharacterSet", "CS", "ISO_IR 100"),
        element("ImageType", "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        element("SOPClassUID", "UI", sop_class),
        element("SOPInstanceUID", "UI", instance),
        element("StudyDate", "DA", "20250102"),
        element("ContentTime", "TM", f"1015{index:02d}"),
        element("Manufacturer", "LO", "BUILT"),
        element("SeriesDescription", "LO", "Fuzz"),
        Element(tag_of("ReferencedStudySequence"), "SQ", _reference(seed), defined=seed not in UNDEFINED_LENGTHS),
        element("PatientName", "PN", NAME),
        element("PatientID", "LO", "FUZZ"),
        element("StudyInstanceUID", "UI", derived_uid("fuzz study")),
        element("SeriesInstanceUID", "UI", derived_uid(seed)),
        element("SeriesNumber", "IS", "3"),
        element("AcquisitionNumber", "IS", "1"),
        element("InstanceNumber", "IS", str(index + 1)),
        element("FrameOfReferenceUID", "UI", derived_uid("fuzz frame")),
        element(0x00090010, "LO", "BUILT"),
        element(0x00091001, "UN", b"\1\2\3\4"),
    ]
    by_tag = {e.tag: e for e in (*common, *specific)}
    elements = tuple(by_tag[tag] for tag in sorted(by_tag))
    return File(meta_of(sop_class, instance, syntax), elements, syntax=syntax, encoding=encoding)


def _reference(seed: str) -> tuple[tuple[Element, ...], ...]:
    return (
        (
            element("ReferencedSOPClassUID", "UI", "1.2.840.10008.3.1.2.3.1"),
            element("ReferencedSOPInstanceUID", "UI", derived_uid(f"{seed}/reference")),
        ),
    )


def picture_elements(
    encoding: Encoding, matrix: tuple[int, int], *, bits: int = 12, signed: bool = False, monochrome: int = 2
) -> list[Element]:
    """Image Pixel Module (PS3.3 C.7.6.3)."""
    numbers = {
        "SamplesPerPixel": 1,
        "Rows": matrix[0],
        "Columns": matrix[1],
        "BitsAllocated": 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(signed),
    }
    text = element("PhotometricInterpretation", "CS", f"MONOCHROME{monochrome}")
    return [text, *(element(keyword, "US", value, encoding) for keyword, value in numbers.items())]


def plane_elements(index: int) -> list[Element]:
    """Image Plane Module (PS3.3 C.7.6.2)."""
    return [
        element("ImageOrientationPatient", "DS", "1\\0\\0\\0\\1\\0"),
        element("ImagePositionPatient", "DS", f"-10.5\\20\\{index * STEP_MM:g}"),
        element("PixelSpacing", "DS", "0.7\\0.9"),
        element("SliceThickness", "DS", "2.5"),
    ]


def native(values: NDArray[np.uint16], encoding: Encoding) -> Element:
    """Pixel Data of all frames, native."""
    return Element(PIXEL_DATA, "OW", values.astype(f"{encoding.order}u2").tobytes())


def encapsulated(frames: list[bytes]) -> Element:
    """Pixel Data in fragments, with an offset table (PS3.5 A.4)."""
    starts = np.cumsum([0, *(len(frame) + 8 for frame in frames[:-1])])
    return Element(PIXEL_DATA, "OB", [struct.pack(f"<{len(frames)}I", *(int(s) for s in starts)), *frames])


def single_frame(
    seed: str,
    *,
    syntax: str = EXPLICIT,
    sop_class: str = uid.CTImageStorage,
    modality: str = "CT",
    codec: str = "",
    bits: int = 12,
    signed: bool = False,
    monochrome: int = 2,
    extra: Callable[[int, Encoding], list[Element]] = lambda _index, _encoding: [],
) -> dict[str, bytes]:
    """A series with one file a slice."""
    syntax = CODECS[codec][0] if codec else syntax
    encoding = Encoding.of(syntax)
    values = stored_values(SLICES, ROWS, COLUMNS, bits=bits)
    files = {}
    for index, picture in enumerate(values):
        pixels = encapsulated([compress(picture, codec)]) if codec else native(picture, encoding)
        specific = [
            element("Modality", "CS", modality),
            *plane_elements(index),
            *picture_elements(encoding, (ROWS, COLUMNS), bits=bits, signed=signed, monochrome=monochrome),
            element("RescaleIntercept", "DS", "-1024"),
            element("RescaleSlope", "DS", "1"),
            *extra(index, encoding),
            pixels,
        ]
        files[f"{index}.dcm"] = write_file(file_of(sop_class, index, syntax, specific, seed))
    return files


def enhanced(seed: str, *, sop_class: str, modality: str, codec: str = "", syntax: str = EXPLICIT) -> dict[str, bytes]:
    """One file with five frames and their functional groups (PS3.3 C.7.6.16)."""
    frames = 5
    syntax = CODECS[codec][0] if codec else syntax
    encoding = Encoding.of(syntax)
    values = stored_values(frames, ROWS, COLUMNS)
    pixels = encapsulated([compress(v, codec) for v in values]) if codec else native(values, encoding)
    orientation, position, spacing, thickness = plane_elements(0)
    rescale = (
        element("RescaleIntercept", "DS", "-1000"),
        element("RescaleSlope", "DS", "2"),
        element("RescaleType", "LO", "HU" if modality == "CT" else "US"),
    )
    shared = (
        element("PlaneOrientationSequence", "SQ", ((orientation,),)),
        element("PixelMeasuresSequence", "SQ", ((thickness, spacing),)),
        element("PixelValueTransformationSequence", "SQ", (rescale,)),
    )
    groups = []
    for index in range(frames):
        content = (element("DimensionIndexValues", "UL", (1, index + 1), encoding),)
        position = plane_elements(index)[1]
        groups.append((
            element("FrameContentSequence", "SQ", (content,)),
            element("PlanePositionSequence", "SQ", ((position,),)),
        ))
    specific = [
        element("Modality", "CS", modality),
        *picture_elements(encoding, (ROWS, COLUMNS)),
        element("NumberOfFrames", "IS", str(frames)),
        element("SharedFunctionalGroupsSequence", "SQ", (shared,)),
        element("PerFrameFunctionalGroupsSequence", "SQ", tuple(groups)),
        pixels,
    ]
    return {"enhanced.dcm": write_file(file_of(sop_class, 0, syntax, specific, seed))}


def csa_header(numbers: dict[str, list[str]]) -> bytes:
    """A CSA2 header: Siemens' private list of named values."""
    body = b"SV10\4\3\2\1" + struct.pack("<2I", len(numbers), 77)
    for name, values in numbers.items():
        body += struct.pack("<64si4s3i", name.encode(), len(values), b"FD\0\0", 4, len(values), 77)
        for value in values:
            text = value.encode() + b"\0"
            body += struct.pack("<4i", len(text), len(text), 77, len(text)) + text + b"\0" * (-len(text) % 4)
    return body


def mosaic(seed: str) -> dict[str, bytes]:
    """One Siemens mosaic: four tiles of 12 x 16, all of them slices."""
    values = stored_values(1, 2 * ROWS, 2 * COLUMNS)[0]
    csa = csa_header({"NumberOfImagesInMosaic": [str(MOSAIC_TILES)], "SliceNormalVector": ["0.0", "0.0", "1.0"]})
    specific = [
        element("Modality", "CS", "MR"),
        element("ImageType", "CS", "ORIGINAL\\PRIMARY\\M\\MOSAIC"),
        *plane_elements(0),
        *picture_elements(META, (2 * ROWS, 2 * COLUMNS)),
        element("SpacingBetweenSlices", "DS", "3.5"),
        element("AcquisitionMatrix", "US", (COLUMNS, 0, 0, ROWS)),
        element(0x00190010, "LO", "SIEMENS MR HEADER"),
        element(0x0019100A, "US", MOSAIC_TILES),
        element(0x00290010, "LO", "SIEMENS CSA HEADER"),
        element(CSA_TAG, "OB", csa),
        native(values, META),
    ]
    return {"mosaic.dcm": write_file(file_of(uid.MRImageStorage, 0, EXPLICIT, specific, seed))}


def _per_slice(index: int, _encoding: Encoding) -> list[Element]:
    return [
        element("RescaleSlope", "DS", f"{1.5 + index / 4:g}"),
        element("RescaleIntercept", "DS", "0"),
        element("Units", "CS", "BQML"),
    ]


def _padding(_index: int, encoding: Encoding) -> list[Element]:
    return [element("PixelPaddingValue", "US", int(stored_values(1, ROWS, COLUMNS)[0, 3, 4]), encoding)]


def _table(_index: int, encoding: Encoding) -> list[Element]:
    """A Modality LUT of eight entries (PS3.3 C.11.1)."""
    data = np.array([3, 1, 4, 1, 5, 9, 2, 6], dtype=f"{encoding.order}u2").tobytes()
    item = (
        element("LUTDescriptor", "US", (8, 100, 16), encoding),
        element("ModalityLUTType", "LO", "HU"),
        Element(tag_of("LUTData"), "OW", data),
    )
    return [element("ModalityLUTSequence", "SQ", (item,))]


def radiograph(seed: str) -> dict[str, bytes]:
    """Two projections, which have no place in the patient."""
    files = {}
    for index, picture in enumerate(stored_values(2, ROWS, COLUMNS)):
        specific = [
            element("Modality", "CS", "CR"),
            *picture_elements(META, (ROWS, COLUMNS), monochrome=1),
            element("RescaleIntercept", "DS", "0"),
            element("RescaleSlope", "DS", "1"),
            native(picture, META),
        ]
        made = file_of(uid.ComputedRadiographyImageStorage, index, EXPLICIT, specific, seed)
        files[f"{index}.dcm"] = write_file(made)
    return files


def colour(seed: str) -> dict[str, bytes]:
    """A colour photograph."""
    specific = [
        element("Modality", "CS", "XC"),
        element("SamplesPerPixel", "US", 3),
        element("PhotometricInterpretation", "CS", "RGB"),
        element("PlanarConfiguration", "US", 0),
        *(element(k, "US", v) for k, v in (("Rows", ROWS), ("Columns", COLUMNS), ("BitsAllocated", 8))),
        *(element(k, "US", v) for k, v in (("BitsStored", 8), ("HighBit", 7), ("PixelRepresentation", 0))),
        Element(PIXEL_DATA, "OB", stored_values(3, ROWS, COLUMNS, bits=8).astype(np.uint8).tobytes()),
    ]
    made = file_of(uid.VLPhotographicImageStorage, 0, EXPLICIT, specific, seed)
    return {"photo.dcm": write_file(made)}


def without_preamble(files: dict[str, bytes]) -> dict[str, bytes]:
    """The data sets alone, as old archives kept them."""
    return {name: write_element(Element(0x00080000, "UL", b"\0\0\0\0"), META) + _body(f) for name, f in files.items()}


def _body(data: bytes) -> bytes:
    return write_elements(read_file(data).elements, META)


@functools.cache
def corpus() -> tuple[Entry, ...]:
    """All series."""
    mr, pet = uid.MRImageStorage, uid.PositronEmissionTomographyImageStorage
    return (
        Entry("native", single_frame("native")),
        Entry("signed", single_frame("signed", bits=16, signed=True, monochrome=1)),
        Entry("implicit", single_frame("implicit", syntax=IMPLICIT)),
        Entry("big_endian", single_frame("big endian", syntax=BIG_ENDIAN)),
        Entry("deflated", single_frame("deflated", syntax=DEFLATED)),
        *(Entry(codec, single_frame(codec, codec=codec)) for codec in CODECS),
        Entry("mr", single_frame("mr", sop_class=mr, modality="MR", extra=_padding)),
        Entry("pet", single_frame("pet", sop_class=pet, modality="PT", extra=_per_slice)),
        Entry("table", single_frame("table", sop_class=mr, modality="MR", extra=_table)),
        Entry("enhanced_ct", enhanced("enhanced ct", sop_class=uid.EnhancedCTImageStorage, modality="CT")),
        Entry("enhanced_rle", enhanced("e rle", sop_class=uid.EnhancedMRImageStorage, modality="MR", codec="rle")),
        Entry("enhanced_j2k", enhanced("e j", sop_class=uid.EnhancedMRImageStorage, modality="MR", codec="jpeg_2000")),
        Entry(
            "enhanced_implicit", enhanced("e i", sop_class=uid.EnhancedCTImageStorage, modality="CT", syntax=IMPLICIT)
        ),
        Entry("mosaic", mosaic("mosaic")),
        Entry("without_preamble", without_preamble(single_frame("bare")), usable=True),
        Entry("radiograph", radiograph("radiograph"), usable=False),
        Entry("colour", colour("colour"), usable=False),
    )
