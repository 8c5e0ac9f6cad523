"""Allowances: how many bytes may come in over HTTP, in files that Orthanc's filter (orthanc/gate.lua) looks at.

A file that is not there lets nothing in: closing needs no room on a disk that is full.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

FOLDER_SUFFIX = "-gate"
"""Beside the storage folder; gate.lua looks there."""
INTAKE = "intake"
"""What comes from outside."""
RESULTS = "results"
"""What the node stores itself."""
COARSE = 16
"""A file is written anew when its number is off by more than this part of it: a disk that is used is no reason to
write to it four times a second."""


class Allowances:
    """The files; there are none when this is made.

    Args:
        storage: Orthanc's storage folder.
        log: Takes a line when they cannot be written.
    """

    def __init__(self, storage: str, log: Any) -> None:  # noqa: ANN401 - Orthanc's own function
        self._folder = Path(storage.rstrip("/") + FOLDER_SUFFIX)
        self._log = log
        self._failed = False
        self._written = {INTAKE: 0, RESULTS: 0}
        for name in self._written:
            (self._folder / name).unlink(missing_ok=True)

    def set(self, name: str, size: int) -> None:
        """Let so many bytes in, at a request; 0 or less: nothing.

        Args:
            name: INTAKE or RESULTS.
            size: The bytes.
        """
        before = self._written[name]
        if size <= 0:
            if before:
                self._close(name)
        elif abs(size - before) > before // COARSE:
            self._open(name, size)

    def _open(self, name: str, size: int) -> None:
        draft = self._folder / f"{name}.draft"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            draft.write_text(f"{size}\n", encoding="ascii")
            draft.replace(self._folder / name)
        except OSError as error:  # no room even for this, or no right
            if not self._failed:
                self._log(f"mapnode: {draft} cannot be written ({error}): nothing comes in over HTTP")
            self._failed = True
            self._close(name)
        else:
            self._failed = False
            self._written[name] = size

    def _close(self, name: str) -> None:
        with contextlib.suppress(OSError):  # where that fails storing does, too; tried again with the next look
            (self._folder / name).unlink(missing_ok=True)
            self._written[name] = 0
