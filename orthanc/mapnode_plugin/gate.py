"""Gate: whether objects may come in. The node closes it, and a disk that fills up does, while the node is down, too.

Refused over DICOM is 0xA700, out of resources (PS3.4 B.2.3): the sender keeps its study and tries again. Over REST and
DICOMweb it is 403, the one answer that Orthanc lets a filter give. The node's own results show the token; they come in
through a closed gate, down to a reserve of the disk that is theirs.
"""

from __future__ import annotations

import os
import threading
from typing import Any, NamedTuple

from mapnode_plugin.allowances import INTAKE, RESULTS, Allowances

LOOK_S = 0.25
"""Pause between two looks at the disk."""
REOPEN = 1.1
"""A gate that the disk closed opens at so many times the space that closed it, so that it does not flap."""
STOP_S = 3.0
"""How long the end of the thread is waited for."""


class Limits(NamedTuple):
    """Free space of the storage folder, in bytes, below which nothing comes in."""

    intake: int
    results: int


class Gate:
    """Lets objects in, or not. Asking it never waits.

    C-STORE asks it, and between two looks at the disk it counts what it let in itself. HTTP looks at the allowances.

    Args:
        folder: Orthanc's storage folder.
        limits: How much of it has to stay free.
        log: Takes a line when the disk closes or opens the gate.
    """

    def __init__(self, folder: str, limits: Limits, log: Any) -> None:  # noqa: ANN401 - Orthanc's own function
        self._folder = folder
        self._limits = limits
        self._log = log
        self._lock = threading.Lock()
        self._reason = ""
        self._closed_by_node = False
        self._closed_by_disk = False
        self._free = 0
        self._allowances = Allowances(folder, log)
        self.look()

    def set(self, *, closed: bool, reason: str = "") -> None:
        """Close or open it for the node; what the disk says stays."""
        with self._lock:
            self._closed_by_node, self._reason = closed, reason if closed else ""
            self._allow()

    def admits(self, size: int) -> bool:
        """Whether an object of so many bytes may come in from outside; True: count on it."""
        with self._lock:
            left = self._free - size
            if self._is_closed or left < self._limits.intake:
                return False
            self._free = left
            return True

    def look(self) -> None:
        """Look at the disk. A folder that does not answer has no room."""
        try:
            disk = os.statvfs(self._folder)
            free = disk.f_bavail * disk.f_frsize
        except OSError:
            free = 0
        with self._lock:
            before = self._closed_by_disk
            self._free = free
            self._closed_by_disk = free < self._limits.intake * (REOPEN if before else 1)
            now = self._closed_by_disk
            self._allow()
        if now != before:
            self._log(f"mapnode: {free} bytes free in {self._folder}: intake is {'closed' if now else 'open'}")

    def state(self) -> dict[str, Any]:
        """As the node reads it (mapnode/pacs/gate.py)."""
        with self._lock:
            return {
                "closed": self._is_closed,
                "by_node": self._closed_by_node,
                "by_disk": self._closed_by_disk,
                "reason": self._reason,
                "free_bytes": self._free,
            }

    @property
    def _is_closed(self) -> bool:
        return self._closed_by_node or self._closed_by_disk

    def _allow(self) -> None:
        """Tell HTTP what may come in."""
        self._allowances.set(INTAKE, 0 if self._is_closed else self._free - self._limits.intake)
        self._allowances.set(RESULTS, self._free - self._limits.results)


class DiskWatch(threading.Thread):
    """Looks at the disk again and again."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(name="mapnode disk watch", daemon=True)
        self._gate = gate
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._stopping.wait(LOOK_S):
            self._gate.look()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self.join(STOP_S)
