"""file_state: whether a large file is the one that was read before, and what it is called until it is whole."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def state_key(path: Path) -> str:
    """A name for a file as it is now.

    Its time of modification says little: whoever unpacks or copies files sets that, to one day for all where archives
    are made to be reproducible, and checkpoints of one network have one size. Nobody sets its time of change.
    """
    state = path.stat()
    words = f"{path.resolve()} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"
    return hashlib.sha256(os.fsencode(words)).hexdigest()


def part_of(path: Path) -> Path:
    """A name beside a file for what is to become it; no other process that makes the same one writes there."""
    return path.with_name(f"{path.name}.{os.getpid()}.part")


def keep_text(path: Path, text: str) -> None:
    """Write a small file that is whole or not there, whenever this ends."""
    part = part_of(path)
    part.write_text(text, encoding="utf-8")
    part.replace(path)
