"""Reading: which files of a folder are DICOM instances, and their headers, without pixels."""

from __future__ import annotations

import os
import struct
import zlib
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydicom import dcmread
from pydicom.config import IGNORE, settings
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import MediaStorageDirectoryStorage

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

# Everything that pydicom raises on data sets that do not parse; this module is the only border to it.
PARSE_ERRORS = (
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    KeyError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


IDENTITY_KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Type 1 wherever an image stands; an instance without one belongs to nothing (PS3.3 C.12.1, C.7.2.1, C.7.3.1)."""
PREAMBLE_BYTES = 132
"""128 of any kind and DICM (PS3.10 7.1)."""
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of sequences that end with a delimiter (PS3.5 7.1)."""


@dataclass(frozen=True)
class Instance:
    """One SOP Instance in a file: its header without Pixel Data."""

    path: Path
    header: Dataset

    @property
    def uid(self) -> str:
        """SOP Instance UID (0008,0018), empty where it is missing."""
        return str(self.header.get("SOPInstanceUID") or "")


@dataclass(frozen=True)
class SkippedFile:
    """A file that is no instance, and why."""

    name: str
    reason: str
    suspicious: bool = False
    """It may be an image that was cut or damaged: empty, named like the images, or not to be opened."""


@dataclass(frozen=True)
class Series:
    """The instances of one Series, in the order of their file names; nothing about them is checked yet.

    Instances without a Series Instance UID make a series with an empty one.
    """

    uid: str
    instances: tuple[Instance, ...]

    @property
    def first(self) -> Dataset:
        """The header that stands for the series where all agree."""
        return self.instances[0].header

    @property
    def modality(self) -> str:
        """Modality (0008,0060), empty where absent."""
        return str(self.first.get("Modality") or "")


@dataclass(frozen=True)
class Folder:
    """What a folder holds."""

    series: tuple[Series, ...]
    skipped: tuple[SkippedFile, ...]


def read_folder(folder: Path) -> Folder:
    """Read the headers of all DICOM files below a folder.

    A file without the DICOM prefix (PS3.10 7.1) is skipped and named. A file that has it, but does not parse, may be
    a slice of the volume asked for: the folder is refused.

    Args:
        folder: Folder with files in any order and depth.

    Returns:
        The series in the order of their UIDs, and the files that were skipped.

    Raises:
        InputRefused: If there is no DICOM file, or one is broken.
    """
    instances: list[Instance] = []
    skipped: list[SkippedFile] = []
    for path in sorted(_files_below(folder)):
        found = _read_instance(path, str(path.relative_to(folder)))
        if isinstance(found, Instance):
            instances.append(found)
        else:
            skipped.append(found)
    _require_instances(instances, skipped)
    suffixes = {instance.path.suffix for instance in instances} - {""}
    skipped = [replace(f, suspicious=f.suspicious or Path(f.name).suffix in suffixes) for f in skipped]
    return Folder(_group(instances), tuple(skipped))


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; links to folders are followed, each folder is read once."""
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if os.path.realpath(Path(parent, name)) not in seen]
        seen.update(os.path.realpath(Path(parent, name)) for name in folders)
        yield from (path for name in names if (path := Path(parent, name)).is_file())


def _read_instance(path: Path, name: str) -> Instance | SkippedFile:
    """The instance in a file, or why it is none.

    Raises:
        InputRefused: If the file has the DICOM prefix and does not parse.
    """
    try:
        header = _read_whole_header(path)
    except InvalidDicomError:
        return SkippedFile(name, "no DICOM file: the prefix DICM is missing", suspicious=_may_be_an_image(path))
    except PermissionError:
        return SkippedFile(name, "cannot be opened: permission denied", suspicious=True)
    except PARSE_ERRORS as error:
        raise InputRefused([
            Finding(
                FindingCode.BROKEN_FILE,
                f"{name} says that it is DICOM, but does not parse ({type(error).__name__}); send it again",
                files=(name,),
            )
        ]) from error
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return SkippedFile(name, "a DICOMDIR, not an instance")
    return Instance(path, header)


def _may_be_an_image(path: Path) -> bool:
    """Whether a file without the prefix is empty, the beginning of a preamble, or a data set without one."""
    with path.open("rb") as file:
        head = file.read(PREAMBLE_BYTES)
    if len(head) < PREAMBLE_BYTES:
        return not any(head)
    try:
        return "SOPInstanceUID" in dcmread(path, stop_before_pixels=True, force=True, specific_tags=["SOPInstanceUID"])
    except PARSE_ERRORS:
        return False


def _read_whole_header(path: Path) -> Dataset:
    """The header up to Pixel Data.

    Where a file ends in the middle of its header pydicom gives what it got: a slice without UIDs, or with half of
    one, that would be missing from its series without anybody noticing.

    Raises:
        EOFError: If the file ends inside an attribute or before its UIDs.
    """
    header = dcmread(path, stop_before_pixels=True)
    if header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return header
    if len(header) == 0 or max(header.keys()) < Tag("SeriesInstanceUID"):
        raise EOFError("it ends before SeriesInstanceUID")
    last = header.get_item(max(header.keys()))
    if isinstance(last, RawDataElement) and last.value is not None and len(last.value) < last.length < UNDEFINED_LENGTH:
        raise EOFError(f"it ends inside {last.tag}")
    return header


def _require_instances(instances: list[Instance], skipped: list[SkippedFile]) -> None:
    """Refuse a folder without a single instance.

    Raises:
        InputRefused: If there is none.
    """
    if not instances:
        what = f"none of its {len(skipped)} files is DICOM" if skipped else "it is empty"
        raise InputRefused([
            Finding(FindingCode.NO_DICOM, f"the folder holds no DICOM instance: {what}", files=_names(skipped))
        ])


def keep_values_out_of_warnings() -> None:
    """Read values as they are, for the whole process: pydicom's warnings of odd ones print them, names among them.

    Called once where a process begins; what an odd value means is decided where it is used.
    """
    settings.reading_validation_mode = IGNORE


def read_value(header: Dataset, keyword: str) -> Any:  # noqa: ANN401 - pydicom values are untyped
    """The attribute's value; None where it is absent or empty, or its bytes are no value of its VR."""
    try:
        value = header.get(keyword)
    except PARSE_ERRORS:
        return None
    return None if value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0) else value


def attribute(keyword: str) -> str:
    """An attribute as people look it up: keyword and tag.

    Examples:
        >>> attribute("PixelSpacing")
        'PixelSpacing (0028,0030)'
    """
    tag = Tag(keyword)
    return f"{keyword} ({tag.group:04X},{tag.element:04X})"


def _group(instances: Iterable[Instance]) -> tuple[Series, ...]:
    by_uid: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_uid[str(instance.header.get("SeriesInstanceUID") or "")].append(instance)
    return tuple(Series(uid, tuple(by_uid[uid])) for uid in sorted(by_uid))


def _names(skipped: list[SkippedFile]) -> tuple[str, ...]:
    return tuple(file.name for file in skipped)
