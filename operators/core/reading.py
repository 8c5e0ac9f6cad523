"""Reading: which files of a folder are DICOM instances, their headers, and where their pixels begin."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from operators.core.dicom_file import PixelLocation, open_file, read_header, stamp_of, storage_class
from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.header import PARSE_ERRORS, read_text, read_uid
from operators.core.header_walk import PREFIX_BYTES
from operators.core.kinds import Kind, kind_of
from operators.core.pixel_format import PixelFormat, pixel_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom import Dataset

DICOMDIR_REASON = "a DICOMDIR, not an instance"
IDENTITY_KEYWORDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
"""Type 1 wherever an image stands; an instance without one belongs to nothing (PS3.3 C.12.1, C.7.2.1, C.7.3.1)."""


@dataclass(frozen=True)
class Instance:
    """One SOP Instance in a file: its header without Pixel Data.

    Attributes:
        path: The file.
        header: Its data set up to Pixel Data.
        pixels: Where Pixel Data lies; None where there is none.
        stamp: Size, time of change and inode when the header was read, by which a later change is seen.
    """

    path: Path
    header: Dataset
    pixels: PixelLocation | None = None
    stamp: tuple[int, int, int] | None = None

    @functools.cached_property
    def name(self) -> str:
        """Name of the file, for people."""
        return shown(Path(self.path.name))

    @functools.cached_property
    def kind(self) -> Kind:
        """What it is to a loader."""
        return kind_of(self.header)

    @functools.cached_property
    def pixel_format(self) -> PixelFormat:
        """What its pixels are; raises ValueError where its header does not say."""
        return pixel_format(self.header)

    @functools.cached_property
    def uid(self) -> str:
        """SOP Instance UID (0008,0018), empty where it is missing."""
        return read_uid(self.header, "SOPInstanceUID")


@dataclass(frozen=True)
class SkippedFile:
    """A file that is no instance, and why."""

    name: str
    reason: str
    suspicious: bool = False
    """It may be an image that was cut or damaged: empty, named like the images, or not to be opened."""
    broken: bool = False
    """It says that it is DICOM, and does not parse."""

    @property
    def finding(self) -> Finding:
        """The file as a finding."""
        return Finding(FindingCode.BROKEN_FILE, f"{self.name}: {self.reason}", files=(self.name,))


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
        return read_text(self.first, "Modality")


@dataclass(frozen=True)
class Folder:
    """What a folder holds."""

    series: tuple[Series, ...]
    skipped: tuple[SkippedFile, ...]


def read_folder(folder: Path) -> Folder:
    """Read the headers of all DICOM files below a folder, whatever they are called, with or without DICOMDIR.

    A file that cannot be used is skipped and named with its reason; the rest is read. One that says that it is DICOM
    and does not parse may be a slice of the volume asked for: it is marked as broken.

    Args:
        folder: Folder with files in any order and depth.

    Returns:
        The series in the order of their UIDs, and the files that were skipped.

    Raises:
        InputRefused: If there is no DICOM instance at all.
    """
    paths, closed = _list_files(folder)
    found = read_files(paths, folder)
    return replace(found, skipped=(*found.skipped, *closed))


def read_files(paths: Sequence[Path], folder: Path) -> Folder:
    """Read the headers of files, as `read_folder` does.

    Args:
        paths: The files.
        folder: What their names are shown relative to.

    Returns:
        The series in the order of their UIDs, and the files that were skipped.

    Raises:
        InputRefused: If there is no DICOM instance among them.
    """
    instances: list[Instance] = []
    skipped: list[SkippedFile] = []
    for path in paths:
        found = _read_instance(path, shown(path.relative_to(folder)))
        if isinstance(found, Instance):
            instances.append(found)
        else:
            skipped.append(found)
    _require_instances(instances, skipped)
    suffixes = {instance.path.suffix for instance in instances}
    skipped = [replace(f, suspicious=f.suspicious or _named_like(f, suffixes)) for f in skipped]
    return Folder(_group(instances), tuple(skipped))


def _named_like(file: SkippedFile, suffixes: set[str]) -> bool:
    """Whether a file is named as the images are; a DICOMDIR has no suffix either, and is none."""
    return Path(file.name).suffix in suffixes and file.reason != DICOMDIR_REASON


def _list_files(folder: Path) -> tuple[list[Path], list[SkippedFile]]:
    """Every file below a folder, sorted, and what cannot be listed or is no file.

    Links to folders are followed, each folder is read once.
    """
    seen = {os.path.realpath(folder)}
    unlisted: list[OSError] = []
    paths: list[Path] = []
    skipped: list[SkippedFile] = []
    for parent, folders, names in os.walk(folder, onerror=unlisted.append, followlinks=True):
        folders[:] = [name for name in folders if os.path.realpath(Path(parent, name)) not in seen]
        seen.update(os.path.realpath(Path(parent, name)) for name in folders)
        for path in (Path(parent, name) for name in names):
            reason = _why_no_file(path)
            if reason is None:
                paths.append(path)
            else:
                skipped.append(SkippedFile(shown(path.relative_to(folder)), reason, suspicious=True))
    listed = (Path(os.path.relpath(e.filename, folder)) for e in unlisted)
    closed = [SkippedFile(shown(name), "a folder that cannot be listed", suspicious=True) for name in listed]
    return sorted(paths), [*skipped, *closed]


def _why_no_file(path: Path) -> str | None:
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return "cannot be opened: permission denied"
    except OSError:
        return "a link that leads nowhere"
    return None if stat.S_ISREG(mode) else "no regular file"


def shown(path: Path) -> str:
    """A path as text that every output can carry: bytes that are no UTF-8 become escapes."""
    return str(path).encode("utf-8", "backslashreplace").decode()


_ahead: dict[tuple[int, int, int], Instance] = {}
"""Instances that were read before anybody asked for them, by their stamps: a hard link has its file's."""


def read_ahead(paths: Iterable[Path]) -> None:
    """Read the headers of files that a folder will have, as themselves or as hard links; `read_folder` finds them read.

    What was read ahead before and not asked for is forgotten. A file that cannot be read is left to who asks for it.

    Args:
        paths: The files.
    """
    forget_ahead()
    for path in paths:
        with contextlib.suppress(*PARSE_ERRORS):
            instance = open_instance(path)
            assert instance.stamp is not None  # it was read from a file
            _ahead[instance.stamp] = instance


def forget_ahead() -> None:
    """Give back what was read ahead and not asked for."""
    _ahead.clear()


def _open(path: Path) -> Instance:
    """The instance in a file, read ahead or now."""
    found = _ahead.pop(stamp_of(path.stat()), None) if _ahead else None
    return open_instance(path) if found is None else replace(found, path=path)


def _read_instance(path: Path, name: str) -> Instance | SkippedFile:
    """The instance in a file, or why it is none."""
    try:
        instance = _open(path)
    except InvalidDicomError:
        return SkippedFile(name, "no DICOM file: the prefix DICM is missing", suspicious=_is_cut_preamble(path))
    except PermissionError:
        return SkippedFile(name, "cannot be opened: permission denied", suspicious=True)
    except FileNotFoundError:
        return SkippedFile(name, "was removed while the folder was read", suspicious=True)
    except PARSE_ERRORS as error:
        reason = f"says that it is DICOM, but does not parse ({type(error).__name__}); send it again"
        return SkippedFile(name, reason, suspicious=True, broken=True)
    if storage_class(instance.header) == MediaStorageDirectoryStorage:
        return SkippedFile(name, DICOMDIR_REASON)
    return instance


def open_instance(path: Path) -> Instance:
    """Header and place of the pixels, in one pass over the beginning of a file.

    Args:
        path: The file.

    Returns:
        The instance. Whatever else is wrong with the file raises one of `PARSE_ERRORS`.

    Raises:
        InvalidDicomError: If it is no DICOM file, even without a preamble.
        EOFError: If it ends in its header.
    """
    with open_file(path) as file:
        state = os.fstat(file.fileno())
        header, pixels = read_header(file, state.st_size)
        return Instance(path, header, pixels, stamp_of(state))


def _is_cut_preamble(path: Path) -> bool:
    """Whether a file without the prefix is empty, or the beginning of a preamble."""
    with path.open("rb") as file:
        head = file.read(PREFIX_BYTES)
    return len(head) < PREFIX_BYTES and not any(head)


def _require_instances(instances: list[Instance], skipped: list[SkippedFile]) -> None:
    """Refuse a folder without a single instance.

    Raises:
        InputRefused: If there is none.
    """
    broken = [file.finding for file in skipped if file.broken]
    if not instances and broken:
        raise InputRefused(broken)
    if not instances:
        what = f"none of its {len(skipped)} files is DICOM" if skipped else "it is empty"
        raise InputRefused([
            Finding(FindingCode.NO_DICOM, f"the folder holds no DICOM instance: {what}", files=_names(skipped))
        ])


def _group(instances: Iterable[Instance]) -> tuple[Series, ...]:
    by_uid: dict[str, list[Instance]] = defaultdict(list)
    for instance in instances:
        by_uid[read_uid(instance.header, "SeriesInstanceUID")].append(instance)
    return tuple(Series(uid, tuple(by_uid[uid])) for uid in sorted(by_uid))


def _names(skipped: list[SkippedFile]) -> tuple[str, ...]:
    return tuple(file.name for file in skipped)
