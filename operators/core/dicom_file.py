"""DICOM file: the header of one file (PS3.10 7) and where its pixels lie, whatever the file claims about itself."""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from operators.core.header import UNDEFINED_LENGTH, file_meta_value, has, read_value, transfer_syntax
from operators.core.header_walk import PIXEL_TAGS, PREFIX_BYTES, walk_header

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset
    from pydicom.tag import BaseTag

LARGEST_INFLATED = (2**26, 32)
"""Bytes that a deflated data set may grow to, and how many times its file: deflate packs a thousand to one."""
HEAD_BYTES = 2**15
"""As much of a file as is read at first; most headers are shorter."""
FILE_META_BYTES = 1024
"""Enough to hold the file meta information's Transfer Syntax UID."""
FILE_META_GROUP = 0x0002
INFLATED_AT_ONCE = 2**20
CLAMPED_FROM = 2**20
"""Reads above this many bytes are compared with what is left of the file."""
PIXEL_DATA_TAG = Tag("PixelData")
SERIES_TAG = int(Tag("SeriesInstanceUID"))
PIXEL_ELEMENT_BYTES = 12
"""Tag, VR, two reserved bytes and length of Pixel Data (PS3.5 7.1.2)."""
FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""What a data set without a preamble begins with: group 2 or 8 in little endian, group 8 in big endian."""
DEFLATED_SYNTAX = DeflatedExplicitVRLittleEndian
DEFLATED_MARK = DEFLATED_SYNTAX.encode()


@dataclass(frozen=True)
class PixelLocation:
    """Where the value of Pixel Data lies.

    Attributes:
        offset: Of its first byte, in the file, or in the inflated file where the transfer syntax is deflated.
        length: Bytes, or UNDEFINED_LENGTH for encapsulated pixels.
        file_bytes: Length of what offset counts in.
        inflated: Whether that is the inflated file.
    """

    offset: int
    length: int
    file_bytes: int
    inflated: bool = False


def open_file(path: Path, buffering: int = -1) -> BinaryIO:
    """A file to read; one that has become a pipe does not wait for somebody to write into it."""
    return open(path, "rb", buffering, opener=_open_at_once)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


class Clamped:
    """A file that never reads beyond its end.

    Python reserves as many bytes as a reader asks for: an element that says that it is 4 GiB long would cost them.
    """

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.seek, self.tell, self.fileno = file.seek, file.tell, file.fileno

    def read(self, count: int = -1) -> bytes:
        """At most what is left."""
        if count > CLAMPED_FROM:
            count = max(0, min(count, self._size - self._file.tell()))
        return self._file.read(count)


def stamp_of(state: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    return state.st_size, state.st_mtime_ns, state.st_ino


def read_header(file: BinaryIO, file_bytes: int) -> tuple[Dataset, PixelLocation | None]:
    """Read a header.

    Args:
        file: At its beginning.
        file_bytes: Its length.

    Returns:
        The data set up to its pixels, with file meta information where there is one, and where the pixels lie; None
        where there are none.

    Raises:
        InvalidDicomError: If there is neither the prefix nor a data set.
        EOFError: If the file ends in its header. Whatever else is wrong raises one of `PARSE_ERRORS`.
    """
    head = file.read(HEAD_BYTES)
    has_prefix = head[PREFIX_BYTES - 4 : PREFIX_BYTES] == b"DICM"
    if not has_prefix and (len(head) < PREFIX_BYTES or head[:2] not in FIRST_GROUPS):
        raise InvalidDicomError
    if has_prefix and DEFLATED_MARK in head[:FILE_META_BYTES] and _is_deflated(file):
        stream, header = inflate(file)
        pixels = _locate_pixels(stream, header, stream.getbuffer().nbytes, inflated=True)
    else:
        header, pixels = _parse(file, head, file_bytes, force=not has_prefix)
    if not has_prefix and not has(header, "SOPInstanceUID"):
        raise InvalidDicomError
    _require_whole(header)
    return header, pixels


def _parse(file: BinaryIO, head: bytes, file_bytes: int, *, force: bool) -> tuple[Dataset, PixelLocation | None]:
    """Header and place of the pixels: of a plain file from its first bytes, else by pydicom."""
    plain = walk_header(head)
    if plain is not None:
        header, at = plain
        stream: BinaryIO = io.BytesIO(head)
        stream.seek(at)
    else:
        file.seek(0)
        stream = cast("BinaryIO", Clamped(file, file_bytes))
        header = read_partial(stream, stop_when=_UntilPixels(), force=force)
        header.buffer = None  # it would keep the file, and no header could be copied
    return header, _locate_pixels(stream, header, file_bytes)


def _is_deflated(file: BinaryIO) -> bool:
    """Whether the file meta information names the deflated syntax: its bytes may stand elsewhere too."""
    return str(read_value(_read_file_meta(file), "TransferSyntaxUID")) == DEFLATED_SYNTAX


def _read_file_meta(file: BinaryIO) -> Dataset:
    """The file meta information; the file is left at the data set."""
    file.seek(0)
    read_preamble(file, force=False)
    clamped = cast("BinaryIO", Clamped(file, os.fstat(file.fileno()).st_size))
    return read_dataset(clamped, is_implicit_VR=False, is_little_endian=True, stop_when=_is_beyond_file_meta)


def inflate(file: BinaryIO) -> tuple[io.BytesIO, Dataset]:
    """The data set of a deflated file (PS3.5 A.5) as a stream without file meta information, placed at Pixel Data.

    Args:
        file: Anywhere.

    Returns:
        The stream and the header.

    Raises:
        ValueError: If the data set grows beyond LARGEST_INFLATED.
    """
    file_meta = _read_file_meta(file)
    stream = _inflated(file, os.fstat(file.fileno()).st_size)
    header = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_UntilPixels())
    header.file_meta = FileMetaDataset(file_meta)
    return stream, header


def require_bounded(path: Path) -> None:
    """A file may be given to a reader that inflates all of it at once, as pydicom does.

    Raises:
        ValueError: If its data set grows beyond LARGEST_INFLATED. Whatever else is wrong raises one of `PARSE_ERRORS`.
    """
    with open_file(path) as file:
        head = file.read(PREFIX_BYTES + FILE_META_BYTES)
        if head[PREFIX_BYTES - 4 : PREFIX_BYTES] == b"DICM" and DEFLATED_MARK in head and _is_deflated(file):
            _inflated(file, os.fstat(file.fileno()).st_size)


def _inflated(file: BinaryIO, file_bytes: int) -> io.BytesIO:
    """What is left of a file, inflated piece by piece, so that nothing is held twice.

    Raises:
        ValueError: If it grows beyond LARGEST_INFLATED.
    """
    inflater, stream = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    least, times = LARGEST_INFLATED
    most = max(least, times * file_bytes)
    while not inflater.eof:
        packed = inflater.unconsumed_tail or file.read(INFLATED_AT_ONCE)
        piece = inflater.decompress(packed, INFLATED_AT_ONCE)
        if not packed and not piece:
            break
        stream.write(piece)
        if stream.tell() > most:
            raise ValueError(f"it inflates to more than {most} bytes")
    stream.seek(0)
    return stream


def _is_beyond_file_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != FILE_META_GROUP


class _UntilPixels:
    """Ends reading at the pixels; each tag stands once (PS3.5 7.1).

    Of two values one reader takes the first, another the last; and a damaged file can go on for ever with the same tag.
    """

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def __call__(self, tag: BaseTag, _vr: str | None, _length: int) -> bool:
        """Whether the pixels begin.

        Raises:
            ValueError: If the tag was there before.
        """
        if tag in self._seen:
            raise ValueError(f"the attribute {tag} is there twice")
        self._seen.add(tag)
        return tag in PIXEL_TAGS


def _locate_pixels(
    stream: BinaryIO, header: Dataset, file_bytes: int, *, inflated: bool = False
) -> PixelLocation | None:
    """Where the value of Pixel Data begins and how long it says that it is, from its tag, VR and length (PS3.5 7.1)."""
    syntax = transfer_syntax(header)
    order = "<" if syntax.is_little_endian else ">"
    start = stream.read(PIXEL_ELEMENT_BYTES)
    if len(start) < PIXEL_ELEMENT_BYTES or struct.unpack(f"{order}HH", start[:4]) != (
        PIXEL_DATA_TAG.group,
        PIXEL_DATA_TAG.element,
    ):
        return None
    # OB and OW have a length of 32 bits after two reserved bytes; without a VR it follows the tag.
    value = 8 if syntax.is_implicit_VR else PIXEL_ELEMENT_BYTES
    (length,) = struct.unpack(f"{order}I", start[value - 4 : value])
    offset = stream.tell() - len(start) + value
    return PixelLocation(offset, length, file_bytes, inflated)


def _require_whole(header: Dataset) -> None:
    """Refuse a header that ends too early.

    Where a file ends in the middle of its header pydicom gives what it got: a slice without UIDs, or with half of
    one, that would be missing from its series without anybody noticing.

    Raises:
        EOFError: If the file ends inside an attribute or before its UIDs.
    """
    if storage_class(header) == MediaStorageDirectoryStorage:
        return
    # As plain numbers: comparing tags as tags takes as long as reading the file.
    highest = max(map(int, header.keys()), default=0)
    if highest < SERIES_TAG:
        raise EOFError("it ends before SeriesInstanceUID")
    last = header.get_item(Tag(highest))
    if isinstance(last, RawDataElement) and last.value is not None and len(last.value) < last.length < UNDEFINED_LENGTH:
        raise EOFError(f"it ends inside {last.tag}")


def storage_class(header: Dataset) -> str:
    """Media Storage SOP Class UID (0002,0002), empty where there is none."""
    return str(file_meta_value(header, "MediaStorageSOPClassUID") or "")
