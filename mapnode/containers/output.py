"""Output: what a container wrote, looked at without following anything, and what of it is taken over."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

MOST_ENTRIES = 2_000
"""Files and folders; a run may make 1,000 results (mapnode/results/check.py)."""
MOST_LEVELS = 16
BLOCK_BYTES = 512
"""In which stat counts what a file takes on the disk, whatever the file system's own blocks are."""


@dataclass
class Survey:
    """What lies in a folder.

    Attributes:
        files: Regular files, relative to it, sorted.
        size: Their bytes, holes among them.
        beyond: Bytes that the disk keeps for them beyond their ends: fallocate(2) takes such room, which no limit of a
            file's size holds, and XFS as much again as a growing file has.
        entries: How many entries were met; not all where there are too many.
        links: Symbolic links.
        others: Devices, pipes, sockets.
        is_too_deep: Whether folders lie in each other deeper than anybody needs.
    """

    files: list[Path] = field(default_factory=list)
    size: int = 0
    beyond: int = 0
    entries: int = 0
    links: int = 0
    others: int = 0
    is_too_deep: bool = False

    def overflow(self, limit: int) -> str | None:
        """What is too much while a container runs; None where nothing is."""
        if self.size >= limit or self.beyond >= limit:
            return f"it wrote {limit / 1e6:g} MB or more (output_mb) and was stopped"
        if self.entries >= MOST_ENTRIES or self.is_too_deep:
            return f"it wrote more than {MOST_ENTRIES} files, or folders deeper than {MOST_LEVELS}, and was stopped"
        return None

    def irregular(self) -> str | None:
        """What no result may be; names are not repeated, since they may be a patient's."""
        if self.links:
            return f"its output holds {self.links} symbolic links; links are never followed"
        if self.others:
            return f"its output holds {self.others} devices, pipes or sockets; they are never opened"
        return None


def survey(folder: Path) -> Survey:
    """Look at a folder to whose files somebody hostile may just be writing; nothing is opened but folders."""
    found, left = Survey(), [(folder, 0)]
    while left and found.entries < MOST_ENTRIES and not found.is_too_deep:
        place, level = left.pop()
        for entry in _entries(place):
            found.entries += 1
            if found.entries >= MOST_ENTRIES:
                break
            if entry.is_dir(follow_symlinks=False):
                found.is_too_deep |= level >= MOST_LEVELS
                left.append((Path(entry.path), level + 1))
            else:
                _count(found, entry, folder)
    found.files.sort()
    return found


def _entries(place: Path) -> list[os.DirEntry[str]]:
    """The first entries of a folder; none of one that is gone again."""
    try:
        with os.scandir(place) as entries:
            return [entry for _, entry in zip(range(MOST_ENTRIES), entries, strict=False)]
    except OSError:
        return []


def _count(found: Survey, entry: os.DirEntry[str], folder: Path) -> None:
    try:
        state = entry.stat(follow_symlinks=False)
    except OSError:
        return
    if stat.S_ISREG(state.st_mode):
        found.files.append(Path(entry.path).relative_to(folder))
        found.size += state.st_size
        whole_blocks = -(-state.st_size // state.st_blksize) * state.st_blksize
        found.beyond += max(0, state.st_blocks * BLOCK_BYTES - whole_blocks)
    elif stat.S_ISLNK(state.st_mode):
        found.links += 1
    else:
        found.others += 1


def take_over(source: Path, target: Path) -> None:
    """Move a regular file of an ended container to the node's own files: no longer anybody else's to change."""
    shutil.move(source, target)
    target.chmod(0o644)
    if os.getuid() == 0:
        os.chown(target, 0, 0)


def remove_folder(folder: Path) -> None:
    """Remove a folder whatever somebody put into it: Python's rmtree ends at a thousand folders in each other.

    What is in a folder that its owner may not enter a node that is not root cannot remove. The modes of files are let
    be, for they may be links to the node's own.
    """
    remove = ["rm", "-rf", "--", str(folder)]
    subprocess.run(remove, check=False, capture_output=True)  # noqa: S603
    if folder.exists():
        closed = ["find", str(folder), "-type", "d", "!", "-perm", "-u=rwx"]
        subprocess.run([*closed, "-exec", "chmod", "u+rwx", "{}", ";"], check=False, capture_output=True)  # noqa: S603
        subprocess.run(remove, check=False, capture_output=True)  # noqa: S603
