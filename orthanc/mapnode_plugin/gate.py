"""Gate: whether objects may come in. The node closes it, and a disk that fills up does, while the node is down, too.

Refused over DICOM is 0xA700, out of resources (PS3.4 B.2.3): the sender keeps its study and tries again. Over REST and
DICOMweb it is 403, the one answer that Orthanc lets a filter give. The node's own results show the token; they come in
through a closed gate, down to a reserve of the disk that is theirs.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any, NamedTuple

LOOK_S = 0.25
"""Pause between two looks at the disk."""
REOPEN = 1.1
"""A gate that the disk closed opens at so many times the space that closed it, so that it does not flap."""
STOP_S = 3.0
"""How long the end of the thread is waited for."""
_STORES = re.compile(
    r"/instances|/tools/(create-dicom|bulk-modify|bulk-anonymize)"
    r"|/(patients|studies|series|instances)/[^/]+/(modify|anonymize|merge|split)|/.+/attachments/[^/]+"
)
"""Orthanc's routes that add to the storage."""


class Limits(NamedTuple):
    """Free space of the storage folder, in bytes, below which nothing comes in."""

    intake: int
    results: int


class Gate:
    """Lets objects in, or not. Asking it never waits.

    Between two looks at the disk it counts what it let in itself.

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
        self.look()

    def set(self, *, closed: bool, reason: str = "") -> None:
        """Close or open it for the node; what the disk says stays."""
        with self._lock:
            self._closed_by_node, self._reason = closed, reason if closed else ""

    def admits(self, size: int, *, own: bool = False) -> bool:
        """Whether an object may come in.

        Args:
            size: Its bytes.
            own: It is a result of the node.

        Returns:
            True: count on it.
        """
        with self._lock:
            if not own and (self._closed_by_node or self._closed_by_disk):
                return False
            left = self._free - size
            if left < (self._limits.results if own else self._limits.intake):
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
        if now != before:
            self._log(f"mapnode: {free} bytes free in {self._folder}: intake is {'closed' if now else 'open'}")

    def state(self) -> dict[str, Any]:
        """As the node reads it (mapnode/pacs/gate.py)."""
        with self._lock:
            return {
                "closed": self._closed_by_node or self._closed_by_disk,
                "by_node": self._closed_by_node,
                "by_disk": self._closed_by_disk,
                "reason": self._reason,
                "free_bytes": self._free,
            }


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


def stores(uri: str, dicomweb_root: str) -> bool:
    """Whether a POST or PUT to a route of Orthanc adds to its storage.

    Args:
        uri: The route, without the question.
        dicomweb_root: Where DICOMweb begins, with its slash.
    """
    path = uri.rstrip("/")
    if path.startswith(dicomweb_root):
        return re.fullmatch(r"studies(/[^/]+)?", path.removeprefix(dicomweb_root)) is not None
    return _STORES.fullmatch(path) is not None
