"""Replacer: puts an instance that came again with other content in the place of the stored one.

Orthanc keeps the first one and has no way to take the second but to delete the first. Between the two steps a kill
would lose both, after the sender was told that we have it: so the new one lies in a file first, which the next start
stores.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

FOLDER_SUFFIX = "-replacing"
"""Beside the storage folder, on the same disk."""


class Replacer:
    """Replaces instances.

    Args:
        api: Orthanc's module.
        storage: Orthanc's storage folder.
    """

    def __init__(self, api: Any, storage: str) -> None:  # noqa: ANN401 - Orthanc's module is untyped
        self._api = api
        self._folder = Path(storage.rstrip("/") + FOLDER_SUFFIX)

    def replace(self, instance_id: str, data: bytes) -> None:
        """Delete what is stored under an identifier, and store a file instead."""
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = self._folder / f"{instance_id}.dcm"
        with kept.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        self._put(kept)

    def finish(self) -> None:
        """Do what was interrupted."""
        for kept in sorted(self._folder.glob("*.dcm")):
            self._put(kept)

    def _put(self, kept: Path) -> None:
        path = f"/instances/{kept.stem}"
        try:
            self._api.RestApiDelete(path)
        except Exception as error:  # noqa: BLE001 - Orthanc's module raises its own kind; deleted before the kill
            self._api.LogWarning(f"mapnode: instance {kept.stem} is not there to be replaced ({error})")
        self._api.RestApiPost("/instances", kept.read_bytes())
        kept.unlink()
