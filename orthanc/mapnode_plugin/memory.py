"""Memory: what Orthanc freed goes back to the system.

glibc keeps freed blocks that lie between used ones. Slices and results of ever different lengths, in the threads of
C-STORE and HTTP, leave more of them with every study, although what is in use stays the same (decision 0035).
"""

from __future__ import annotations

import ctypes
import threading

EVERY_S = 60.0
STOP_S = 3.0
"""How long the end of the thread is waited for."""


def return_freed_memory() -> None:
    """Give the free pages of every arena back (malloc_trim(3), which glibc alone has)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class MemoryReturn(threading.Thread):
    """Gives back once a minute; other threads run meanwhile."""

    def __init__(self) -> None:
        super().__init__(name="mapnode memory", daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Give back until told to stop."""
        while not self._stopping.wait(EVERY_S):
            return_freed_memory()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self.join(STOP_S)
