"""file_state: whether a large file is the one that was read before."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def state_key(path: Path) -> str:
    """A name for a file as it is now, by its place, size and time of change."""
    state = path.stat()
    return hashlib.sha256(f"{path.resolve()} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()
