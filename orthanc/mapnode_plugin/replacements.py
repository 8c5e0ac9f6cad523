"""Replacements: instances that came again with other content, kept in files until the node puts them in their place.

Orthanc keeps the first one and has no way to take the second but to delete the first. That is the node's to do: in here
it would hold Python's lock while Orthanc waits for it with a lock of its own. A file that is here was answered for to
its sender, so it stays until it is stored, over any restart.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER_SUFFIX = "-replacing"
"""Beside the storage folder, on the same disk; mapnode/pacs/replacements.py looks there."""


class Replacements:
    """The files.

    Args:
        storage: Orthanc's storage folder.
    """

    def __init__(self, storage: str) -> None:
        self._folder = Path(storage.rstrip("/") + FOLDER_SUFFIX)

    def keep(self, instance_id: str, data: bytes) -> None:
        """Keep what is to replace an instance; of two the later one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f"{instance_id}.part"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._folder / f"{instance_id}.dcm")
