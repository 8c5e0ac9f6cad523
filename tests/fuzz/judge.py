"""Judge: what files say by the standard, worked out here by hand, against what was loaded from them.

A volume that claims to be usable has to be what its files say, voxel by voxel and mm by mm. Files that are no strict
data sets are taken apart by pydicom instead; what their elements mean is worked out here all the same.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence as Items

from tests.fuzz.corpus import CSA_TAG, known_codestreams
from tests.fuzz.elements import NATIVE, PIXEL_DATA, Element, Encoding, File, NotStrict, find, read_file, tag_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from operators.core.geometry import SeriesGeometry
    from operators.core.volume import Volume

DECIMAL = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[\s\0]*")
"""A Decimal String (PS3.5 table 6.2-1); space of other kinds and a NUL at the end are those of careless devices."""
IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID", "SOPClassUID")
POSITION_TOLERANCE_MM = 0.15
"""Positions of a volume are even: those of its files may stray by the tolerance of a gap for each gap."""
MEANINGFUL = frozenset(
    tag_of(keyword)
    for keyword in (
        *IDENTITY,
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept"),
        *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames"),
        *("SamplesPerPixel", "PhotometricInterpretation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    )
)
"""Of an element that stands there twice some readers take the first, some the last."""
RLE = "1.2.840.10008.1.2.5"
KNOWN_SYNTAXES = NATIVE | {RLE, *(f"1.2.840.10008.1.2.4.{n}" for n in (57, 70, 80, 81, 90, 91))}


class NoClaim(Exception):
    """By the standard these files are no usable volume."""


class Unclear(Exception):
    """The judge does not know."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One slice as its file says.

    Attributes:
        position: `(3,)`, mm.
        orientation: `(6,)`.
        spacing: Between rows, between columns, mm.
        values: `(rows, columns)` after the Modality LUT; None where nobody but the decoder knows.
        padding: `(rows, columns)`.
        identity: Study, series, frame of reference, patient, class.
    """

    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: NDArray[np.float64]
    values: NDArray[np.float64] | None
    padding: NDArray[np.bool_] | None
    identity: tuple[bytes, ...]


def take_apart(data: bytes) -> File:
    """A file as elements: strictly, else as pydicom finds them.

    Raises:
        Unclear: If pydicom does not read it either.
    """
    try:
        return read_file(data)
    except NotStrict:
        try:
            file = _by_pydicom(data)
        except Exception as error:
            raise Unclear("pydicom does not read it") from error
        if file.get("Rows") is None:
            raise Unclear("pydicom reads no image") from None
        return file


def _by_pydicom(data: bytes) -> File:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = dcmread(io.BytesIO(data), force=True)
        implicit, little = found.original_encoding
        encoding = Encoding(bool(implicit), not little)
        syntax = str(found.file_meta.get("TransferSyntaxUID") or "")
        elements = tuple(_element(found, tag, encoding) for tag in sorted(found.keys()))
    if not syntax:
        syntax = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
    return File((), elements, data[:132], syntax, encoding)


def _element(dataset, tag, encoding: Encoding) -> Element:
    item = dataset.get_item(tag)
    if isinstance(item, RawDataElement):
        value = item.value or b""
        if tag == PIXEL_DATA and item.length == 0xFFFFFFFF:
            return Element(int(tag), str(item.VR or "OB"), _fragments(value))
        if item.VR != "SQ" and not (item.VR is None and isinstance(dataset[tag].value, Items)):
            return Element(int(tag), str(item.VR or ""), value)
    return _items(dataset, tag, encoding)


def _items(dataset, tag, encoding: Encoding) -> Element:
    value = dataset[tag].value
    if not isinstance(value, Items):
        raise Unclear("pydicom converted a value")
    items = tuple(tuple(_element(one, t, encoding) for t in sorted(one.keys())) for one in value)
    return Element(int(tag), "SQ", items)


def _fragments(value: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 8 <= len(value):
        group, number, length = struct.unpack_from("<HHI", value, at)
        if (group, number) != (0xFFFE, 0xE000):
            break
        found.append(value[at + 8 : at + 8 + length])
        at += 8 + length
    return found


class Reader:
    """The values of one frame: its own functional groups first, then the shared ones, then the data set."""

    def __init__(self, file: File, frame: int = 0) -> None:
        # Groups with an odd number are private: what stands in them means nothing here.
        self.file, self.levels = file, [file.elements]
        per_frame, shared = (file.get(f"{name}FunctionalGroupsSequence") for name in ("PerFrame", "Shared"))
        self.enhanced = per_frame is not None
        for group, index in ((shared, 0), (per_frame, frame)):
            if group is not None and isinstance(group.value, tuple) and index < len(group.value):
                inner = [
                    item
                    for e in group.value[index]
                    if isinstance(e.value, tuple) and len(e.value) == 1 and not e.tag >> 16 & 1
                    for item in e.value
                ]
                self.levels += inner

    def raw(self, keyword: str) -> bytes | None:
        """The value's bytes; None where it is absent or empty."""
        tag = tag_of(keyword)
        for elements in reversed(self.levels):
            element = find(elements, tag)
            if element is not None and isinstance(element.value, bytes):
                return element.value if element.value.strip(b" ") else None
        return None

    def items(self, keyword: str) -> tuple[tuple[Element, ...], ...]:
        element = self.file.get(keyword)
        return element.value if element is not None and isinstance(element.value, tuple) else ()

    def number(self, keyword: str, default: int | None = None) -> int:
        """One US.

        Raises:
            NoClaim: If it is another number of numbers.
        """
        raw = self.raw(keyword)
        if raw is None or len(raw) != 2:
            if raw is None and default is not None:
                return default
            raise NoClaim(f"{keyword} is not one number")
        return struct.unpack(f"{self.file.encoding.order}H", raw)[0]

    def decimals(self, keyword: str, count: int) -> NDArray[np.float64]:
        raw = self.raw(keyword)
        parts = (raw or b"").split(b"\\")
        if len(parts) != count or not all(DECIMAL.fullmatch(part) for part in parts):
            raise NoClaim(f"{keyword} is not {count} Decimal Strings")
        values = np.array([float(part.strip(b" \t\r\n\v\f\0")) for part in parts])
        if not np.isfinite(values).all():
            raise NoClaim(f"{keyword} is not finite")
        return values

    def text(self, keyword: str) -> bytes:
        return (self.raw(keyword) or b"").strip(b" \0")


def picture_of(data: bytes, frame_number: int, tile: int | None) -> Picture:
    """One slice.

    Raises:
        NoClaim: If by the standard the file is no slice of a usable volume.
        Unclear: If the judge does not know.
    """
    file = take_apart(data)
    reader = Reader(file, frame_number - 1)
    stored = _stored(file, reader, frame_number)
    orientation, spacing = reader.decimals("ImageOrientationPatient", 6), reader.decimals("PixelSpacing", 2)
    position = reader.decimals("ImagePositionPatient", 3)
    if tile is not None:
        stored, position = _tile(file, reader, stored, position, tile)
    return Picture(
        position,
        orientation,
        spacing,
        None if stored is None else _modality(reader, stored),
        None if stored is None else _padding(reader, stored),
        tuple(_identity(reader, keyword) for keyword in IDENTITY),
    )


def _identity(reader: Reader, keyword: str) -> bytes:
    found = reader.file.get(keyword)
    if found is not None and not isinstance(found.value, bytes):
        raise NoClaim(f"{keyword} is a sequence")
    return reader.text(keyword)


def image_of(data: bytes, frame_number: int) -> NDArray[np.float64] | None:
    """The values of a frame without a place."""
    file = take_apart(data)
    reader = Reader(file, frame_number - 1)
    stored = _stored(file, reader, frame_number)
    return None if stored is None else _modality(reader, stored)


def _stored(file: File, reader: Reader, frame_number: int) -> NDArray[np.int64] | None:
    """Stored values (PS3.5 8.1.1) of a file that says nothing twice.

    Raises:
        NoClaim: If by the standard there is no such image.
        Unclear: If the judge does not know.
    """
    if file.twice & MEANINGFUL:
        raise NoClaim("an element twice, with different values")
    rows, columns = reader.number("Rows"), reader.number("Columns")
    allocated, stored, high = (reader.number(k) for k in ("BitsAllocated", "BitsStored", "HighBit"))
    sign = reader.number("PixelRepresentation")
    if sign not in {0, 1}:
        raise NoClaim("PixelRepresentation is neither 0 nor 1")
    if reader.number("SamplesPerPixel", 1) != 1 or reader.text("PhotometricInterpretation") not in MONOCHROME:
        raise NoClaim("no gray image")
    if allocated not in {8, 16, 32} or not 1 <= stored <= high + 1 <= allocated:
        raise NoClaim("bits that contradict each other")
    pixels = find(file.elements, PIXEL_DATA)
    if pixels is None:
        raise NoClaim("no Pixel Data")
    if isinstance(pixels.value, list):
        return _decompressed(file, reader, pixels.value, frame_number, (rows, columns), (stored, sign))
    if file.syntax not in NATIVE or not isinstance(pixels.value, bytes):
        raise Unclear("fragments with a length: a reader may find the codestream all the same")
    length = rows * columns * allocated // 8
    frames = _frames(reader)
    if len(pixels.value) not in {length * frames, length * frames + 1} or frame_number > frames:
        raise NoClaim("Pixel Data of another length")
    part = pixels.value[(frame_number - 1) * length : frame_number * length]
    words = np.frombuffer(part, dtype=f"{file.encoding.order}u{allocated // 8}").astype(np.int64)
    return _signed(words >> (high + 1 - stored), stored, sign).reshape(rows, columns)


MONOCHROME = (b"MONOCHROME1", b"MONOCHROME2", b"")


def _frames(reader: Reader) -> int:
    element = reader.file.get("NumberOfFrames")
    if element is not None and element.vr not in {"IS", ""}:
        raise Unclear("a number of frames of another VR")
    text = reader.text("NumberOfFrames") or b"1"
    if not re.fullmatch(rb"[+]?\d+", text):
        raise NoClaim("NumberOfFrames is no number")
    return int(text)


def _signed(words: NDArray[np.int64], bits: int, sign: int) -> NDArray[np.int64]:
    words = words & (2**bits - 1)
    return np.where(words >= 2 ** (bits - 1), words - 2**bits, words) if sign else words


def _decompressed(
    file: File,
    reader: Reader,
    fragments: list[bytes],
    frame_number: int,
    matrix: tuple[int, int],
    bits: tuple[int, int],
) -> NDArray[np.int64] | None:
    """What a codestream made here holds; None for one that a mutation changed: only its decoder knows.

    Raises:
        NoClaim: If by the standard there is no such image.
        Unclear: If the judge does not know.
    """
    if file.syntax in NATIVE:
        raise NoClaim("fragments where the transfer syntax is native")
    if file.syntax not in KNOWN_SYNTAXES:
        raise Unclear("a transfer syntax that the judge does not know")
    streams = fragments[1:]
    if len(streams) != _frames(reader):
        return None  # A frame in several fragments, or damage: the decoder finds out
    stream = streams[frame_number - 1]
    known = known_codestreams.get(hashlib.sha256(stream).digest())
    if known is None:
        return None
    if known.size != matrix[0] * matrix[1] or (known.shape != matrix and file.syntax != RLE):
        raise NoClaim("a codestream of another size")
    known = known.reshape(matrix)  # RLE does not say how long a row is
    if bits[0] < 12:
        raise Unclear("fewer bits than the codestream has")
    # Bits beyond the picture's own twelve are no bits of a sign.
    return known.astype(np.int64) if not bits[1] else _signed(known.astype(np.int64), bits[0], 1)


def _modality(reader: Reader, stored: NDArray[np.int64]) -> NDArray[np.float64]:
    """Output of the Modality LUT (PS3.3 C.11.1)."""
    items = reader.items("ModalityLUTSequence")
    if items:
        return _looked_up(reader, items[0], stored)
    slope, intercept = (
        float(reader.decimals(keyword, 1)[0]) if reader.text(keyword) else default
        for keyword, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))
    )
    return stored * slope + intercept


def _looked_up(reader: Reader, item: tuple[Element, ...], stored: NDArray[np.int64]) -> NDArray[np.float64]:
    order = reader.file.encoding.order
    descriptor, data = (find(item, tag_of(keyword)) for keyword in ("LUTDescriptor", "LUTData"))
    if descriptor is None or data is None or len(descriptor.value) != 6 or not isinstance(data.value, bytes):
        raise NoClaim("a Modality LUT without descriptor or data")
    entries, first, bits = struct.unpack(f"{order}3H", descriptor.value)
    if descriptor.vr == "SS" or reader.number("PixelRepresentation"):
        (first,) = struct.unpack(f"{order}h", descriptor.value[2:4])
    if bits not in {8, 16}:
        raise NoClaim("a Modality LUT of other than 8 or 16 bits")
    if bits == 8:
        raise Unclear("how an entry of 8 bits is packed")
    table = np.frombuffer(data.value[: len(data.value) // 2 * 2], dtype=f"{order}u2")
    if len(table) != (entries or 2**16):
        raise NoClaim("a Modality LUT of another length")
    return table[np.clip(stored - first, 0, len(table) - 1)].astype(np.float64)


def _padding(reader: Reader, stored: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Where Pixel Padding is (PS3.3 C.7.5.1.1.2).

    Raises:
        Unclear: If the judge does not know.
    """
    ends = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        raw = reader.raw(keyword)
        if raw is None:
            break
        element = reader.file.get(keyword)
        if len(raw) != 2 or element is None or element.vr not in {"US", "SS", ""}:
            raise Unclear("a padding value of another length or VR")
        sign = "h" if reader.number("PixelRepresentation") else "H"
        ends.append(struct.unpack(f"{reader.file.encoding.order}{sign}", raw)[0])
    return (stored >= min(ends)) & (stored <= max(ends)) if ends else None


def _tile(
    file: File, reader: Reader, stored: NDArray[np.int64] | None, corner: NDArray[np.float64], index: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64]]:
    """One slice of a mosaic whose CSA header nobody changed.

    Raises:
        NoClaim: If by the standard there is no such image.
        Unclear: If the judge does not know.
    """
    csa, count = find(file.elements, CSA_TAG), find(file.elements, 0x0019100A)
    if csa is None or stored is None or hashlib.sha256(csa.value).digest() != ORIGINAL_CSA or count is None:
        raise Unclear("a mosaic without its private header")
    if count.vr != "US" or len(count.value) != 2:
        raise Unclear("a number of tiles of another kind")
    (tiles,) = struct.unpack(f"{file.encoding.order}H", count.value)
    grid = int(np.ceil(np.sqrt(tiles)))
    if tiles < 1 or stored.shape[0] % grid or stored.shape[1] % grid:
        raise NoClaim("tiles that do not fit")
    rows, columns = stored.shape[0] // grid, stored.shape[1] // grid
    top, left = index // grid * rows, index % grid * columns
    orientation, (between_rows, between_columns) = (
        reader.decimals("ImageOrientationPatient", 6),
        reader.decimals("PixelSpacing", 2),
    )
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    normal *= -1 if normal[2] < 0 else 1
    first = corner + row * between_columns * (stored.shape[1] - columns) / 2
    first = first + column * between_rows * (stored.shape[0] - rows) / 2
    position = first + index * normal * reader.decimals("SpacingBetweenSlices", 1)[0]
    return stored[top : top + rows, left : left + columns], position


def _original_csa() -> bytes:
    from tests.fuzz.corpus import corpus

    data = next(iter(next(e for e in corpus() if e.name == "mosaic").files.values()))
    value = find(read_file(data).elements, CSA_TAG).value
    return hashlib.sha256(value).digest()


ORIGINAL_CSA = _original_csa()


def judge_volume(files: Mapping[str, bytes], volume: Volume, tiles: list[int | None]) -> list[str]:
    """What is wrong with a volume that claims to be usable.

    Args:
        files: What was on the disk, by name.
        volume: As it was read.
        tiles: For each slice its tile, where it is one.

    Returns:
        Sentences; empty where all agrees or the judge does not know.
    """
    try:
        pictures = [
            picture_of(files[source.path.name], source.frame_number, tile)
            for source, tile in zip(volume.slices, tiles, strict=True)
        ]
    except NoClaim as reason:
        return [f"it must not be usable: {reason}"]
    except Unclear:
        return []
    problems = [*_misplaced(volume, pictures), *_wrong_values(volume, pictures)]
    if len({picture.identity for picture in pictures}) > 1:
        problems.append("slices of different series, patients or classes in one volume")
    return problems


def _misplaced(volume: Volume, pictures: list[Picture]) -> list[str]:
    problems = []
    for index, picture in enumerate(pictures):
        affine = volume.affine_lps
        if np.abs(affine[:3, 0] * index + affine[:3, 3] - picture.position).max() > POSITION_TOLERANCE_MM:
            problems.append(f"slice {index} lies elsewhere")
        for column, direction, spacing in ((1, picture.orientation[3:], 0), (2, picture.orientation[:3], 1)):
            if np.abs(affine[:3, column] - direction * picture.spacing[spacing]).max() > 1e-3:
                problems.append(f"slice {index} runs elsewhere or has another spacing")
    return problems


def _wrong_values(volume: Volume, pictures: list[Picture]) -> list[str]:
    problems = []
    for index, picture in enumerate(pictures):
        if picture.values is None:
            continue
        if volume.array[index].shape != picture.values.shape:
            problems.append(f"slice {index} has another matrix")
        elif not np.allclose(volume.array[index], picture.values, rtol=1e-5, atol=1e-3):
            problems.append(f"slice {index} has other values")
        mask = np.zeros(picture.values.shape, bool) if picture.padding is None else picture.padding
        found = np.zeros_like(mask) if volume.padding is None else volume.padding[index]
        if found.shape != mask.shape or (found != mask).any():
            problems.append(f"slice {index} has other padding")
    return problems


def judge_series(geometry: SeriesGeometry) -> list[str]:
    """Whether a usable series leaves out a file that says it is part of it."""
    used = {frame.instance.path.name for volume in geometry.volumes for frame in volume.frames}
    read = {instance.path.name for instance in geometry.series.instances}
    return [f"{name} is left out" for name in sorted(read - used)]
