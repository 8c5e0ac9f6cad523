"""Replacements: files of what came again, until it is compared, and until the node puts it in the stored one's place.

Orthanc keeps the first one and has no way to take the second but to delete the first. That is the node's to do: in here
it would hold Python's lock while Orthanc waits for it with a lock of its own. A file that is here was answered for to
its sender, so it stays until it is found to be the same, or stored, over any restart. Its suffix says how far it is.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

FOLDER_SUFFIX = "-replacing"
"""Beside the storage folder, on the same disk; mapnode/pacs/replacements.py looks there."""
DRAFT = ".part"
"""Not yet answered for."""
WAITING = ".again"
"""Waits to be compared: NUMBER,INSTANCE,ORIGIN,AET.again, with how often that was begun behind it."""
MOST_TRIES = 3
"""Whoever so often was being compared when Orthanc ended stays as it is: a decoder that it crashes must not loop."""
REPLACING = ".dcm"
"""Is to replace the stored one: INSTANCE.dcm."""
PLACING = ".placing"
"""The node is about to put it in place: INSTANCE.placing."""


class Arrival(NamedTuple):
    """An instance that came again: its file, how it came, when (seconds since 1970), how often comparing it began.

    A later one has a higher number.
    """

    path: Path
    number: int
    instance_id: str
    origin: str
    calling_aet: str
    at: float
    tries: int


class Replacements:
    """The files. Nobody waits in memory, so the disk alone says how many there may be.

    Args:
        storage: Orthanc's storage folder.
    """

    def __init__(self, storage: str) -> None:
        self._folder = Path(storage.rstrip("/") + FOLDER_SUFFIX)
        for draft in self._folder.glob(f"*{DRAFT}"):
            draft.unlink()
        left = sorted((_read(path) for path in self._folder.glob(f"*{WAITING}*")), key=lambda one: one.number)
        self._numbers = itertools.count(left[-1].number + 1 if left else 1)
        self.waiting = [one for one in left if one.tries < MOST_TRIES]
        """What an earlier run of Orthanc has not compared, in the order in which it came."""
        self.given_up = [one for one in left if one.tries >= MOST_TRIES]
        """What is not compared any more; the files stay for somebody to look at."""

    def take(self, instance_id: str, data: bytes, *, origin: str, calling_aet: str) -> Arrival:
        """Write an instance that came again. It is durable after this, and may be answered for.

        Args:
            instance_id: Orthanc's identifier.
            data: The DICOM file.
            origin: The way it came.
            calling_aet: Who sent it.

        Raises:
            OSError: If it cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{next(self._numbers)},{instance_id},{origin},{quote(calling_aet, safe='')}"
        draft = self._folder / f"{name}{DRAFT}"
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            path = draft.replace(self._folder / f"{name}{WAITING}")
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _sync_folder(self._folder)
        return _read(path)

    def begin(self, arrival: Arrival) -> Arrival:
        """Note that comparing an instance begins, so that one that ends Orthanc by that is known by its file."""
        tries = arrival.tries + 1
        return arrival._replace(path=arrival.path.replace(arrival.path.with_suffix(f"{WAITING}{tries}")), tries=tries)

    def keep(self, arrival: Arrival) -> None:
        """Have what was compared replace the stored one; of two the later one."""
        arrival.path.replace(self._folder / f"{arrival.instance_id}{REPLACING}")

    def drop(self, arrival: Arrival) -> None:
        """Forget what was compared, if it replaces nothing."""
        with contextlib.suppress(OSError):  # one that stays is compared once more, at the next start
            arrival.path.unlink()

    def newest(self, instance_id: str) -> bytes | None:
        """What is going to replace a stored instance; None when nothing is.

        The node renames a file before it stores it, and removes it after that: who looks in this order, and at what
        is stored last, misses none.
        """
        for suffix in (REPLACING, PLACING):
            try:
                return (self._folder / f"{instance_id}{suffix}").read_bytes()
            except FileNotFoundError:
                continue
        return None

    def is_placing(self, instance_id: str, data: bytes) -> bool:
        """Whether this is what the node is putting in place at the moment."""
        try:
            return (self._folder / f"{instance_id}{PLACING}").read_bytes() == data
        except FileNotFoundError:
            return False


def _read(path: Path) -> Arrival:
    number, instance_id, origin, calling_aet = path.stem.split(",")
    tries = int(path.suffix.removeprefix(WAITING) or 0)
    return Arrival(path, int(number), instance_id, origin, unquote(calling_aet), path.stat().st_mtime, tries)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
