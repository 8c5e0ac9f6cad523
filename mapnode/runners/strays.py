"""Strays: ends processes that an app put into sessions of their own, where the end of its process group misses them.

Whatever its session and whoever its parent is by now, a process keeps the environment that it was started with. One
that an app starts with an empty environment is not found.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

MARK = "MAPNODE_RUN"
"""The variable by which a child and all that it starts are known."""
ROUNDS = 5
"""What starts further processes while it is looked for is looked for again, so often at most."""


def end_strays(mark: str) -> None:
    """End all processes that a mark is on.

    Args:
        mark: The value of MARK: a child's own, that no other process has.
    """
    entry = f"{MARK}={mark}".encode()
    ended: set[int] = set()
    for _ in range(ROUNDS):
        # One that was ended may still be there with the next round.
        found = {pid for pid in _processes() if _end(pid, entry)}
        if found <= ended:
            return
        ended |= found


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def _end(pid: int, entry: bytes) -> bool:
    """End a process if an entry is in its environment; whether it is.

    It is held by a descriptor before it is looked at: its number may be another one's a moment later.
    """
    with contextlib.suppress(OSError):  # gone, or somebody else's
        process = os.pidfd_open(pid)
        try:
            if entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                signal.pidfd_send_signal(process, signal.SIGKILL)
                return True
        finally:
            os.close(process)
    return False
