"""Headers: those of files that were read lately, so that intake and check read each only once.

A file is known by its size, time of change and inode: a hard link of it, as a job's input is one, is the same file, and
a file with other content is another one.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from operators.core.dicom_file import stamp_of
from operators.core.header import PARSE_ERRORS
from operators.core.reading import open_instance

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

MOST_HEADERS = 3000
"""Some 15 kB each; those that were not used for longest go first."""
KEPT_S = 300.0
"""Those that were not used for so long go, too: an idle node holds none."""

Stamp: TypeAlias = tuple[int, int, int]


class Headers:
    """Reads headers. Threads may share it; nobody changes a header."""

    def __init__(self) -> None:
        self._known: OrderedDict[Stamp, tuple[float, Dataset]] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path) -> Dataset:
        """The header of a file without its pixels.

        Args:
            path: The file; what is wrong with it raises as `open_instance` does.

        Returns:
            The header, which is not to be changed: others hold it, too.
        """
        stamp = stamp_of(path.stat())
        with self._lock:
            found = self._known.pop(stamp, None)
        header = open_instance(path).header if found is None else found[1]
        with self._lock:
            self._known[stamp] = time.monotonic(), header
            if len(self._known) > MOST_HEADERS:
                self._known.popitem(last=False)
        return header

    def read_ahead(self, path: Path) -> None:
        """Read a header for whoever needs it later, who also finds out what is wrong with the file."""
        with contextlib.suppress(*PARSE_ERRORS):
            self.read(path)

    def forget(self) -> None:
        """Drop what was not used for a while."""
        oldest = time.monotonic() - KEPT_S
        with self._lock:
            while self._known and next(iter(self._known.values()))[0] < oldest:
                self._known.popitem(last=False)
