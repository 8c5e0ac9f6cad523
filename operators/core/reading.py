"""Reading: which files of a folder are DICOM instances, and their headers, without pixels."""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import Tag
from pydicom.uid import MediaStorageDirectoryStorage

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydicom import Dataset

# Everything that pydicom raises on data sets that do not parse; this module is the only border to it.
PARSE_ERRORS = (
    AttributeError,
    BytesLengthException,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


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
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        found = _read_instance(path, str(path.relative_to(folder)))
        if isinstance(found, Instance):
            instances.append(found)
        else:
            skipped.append(found)
    _require_instances(instances, skipped)
    return Folder(_group(instances), tuple(skipped))


def _read_instance(path: Path, name: str) -> Instance | SkippedFile:
    """The instance in a file, or why it is none.

    Raises:
        InputRefused: If the file has the DICOM prefix and does not parse.
    """
    try:
        header = dcmread(path, stop_before_pixels=True)
    except InvalidDicomError:
        return SkippedFile(name, "no DICOM file: the prefix DICM is missing")
    except PermissionError:
        return SkippedFile(name, "cannot be opened: permission denied")
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
