"""Replacements: puts instances that came again with other content in the place of what Orthanc kept.

The plugin keeps them in files beside the storage area (orthanc/mapnode_plugin/replacements.py).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from mapnode.pacs.errors import NotFound

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.pacs.orthanc_client import OrthancClient

FOLDER_SUFFIX = "-replacing"

_log = logging.getLogger(__name__)


class Replacements:
    """The instances that wait to be put in place."""

    def __init__(self, client: OrthancClient, storage: Path) -> None:
        """Bind it.

        Args:
            client: Orthanc.
            storage: Its storage area.
        """
        self._client = client
        self._folder = storage.with_name(storage.name + FOLDER_SUFFIX)

    def apply(self) -> int:
        """Delete what is to be replaced, and store what replaces it; a file goes when it is stored.

        A later one may be kept meanwhile, so that each gets a name of its own before it is read.

        Returns:
            How many there were. What a kill interrupts is done again, without harm.
        """
        for path in self._folder.glob("*.dcm"):
            path.replace(path.with_suffix(".placing"))
        placing = sorted(self._folder.glob("*.placing"))
        for path in placing:
            content = path.read_bytes()
            try:
                self._client.delete_instance(path.stem)
            except NotFound:
                _log.debug("instance %s is deleted already", path.stem)
            self._client.store(content)
            path.unlink()
            _log.warning("instance %s was replaced by what came again with other content", path.stem)
        return len(placing)
