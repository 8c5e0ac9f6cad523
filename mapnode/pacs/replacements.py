"""Replacements: puts instances that came again with other content in the place of what Orthanc kept.

The plugin keeps them in files beside the storage area (orthanc/mapnode_plugin/replacements.py).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapnode.pacs.errors import NotFound, OrthancUnreachable, PacsError
from mapnode.pacs.resources import StoreStatus

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.pacs.orthanc_client import OrthancClient

FOLDER_SUFFIX = "-replacing"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""What Orthanc refuses is tried again after this, after twice as long each further time: it may lack room alone."""

_log = logging.getLogger(__name__)


@dataclass
class _PutOff:
    """One that could not be put in place.

    Attributes:
        is_deleted: What it replaces is deleted: what Orthanc has under that UID came after it.
        pause_s: How long it waits.
        until: It is not tried again before this, monotonic seconds.
    """

    is_deleted: bool = False
    pause_s: float = 0.0
    until: float = 0.0


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
        self._put_off: dict[str, _PutOff] = {}

    def apply(self) -> int:
        """Delete what is to be replaced, and store what replaces it; a file goes when it is stored.

        A later one may be kept meanwhile, so that each gets a name of its own before it is read. One that Orthanc
        refuses stays, and is tried again less and less often.

        Returns:
            How many were put in place. What a kill interrupts is done again, without harm.

        Raises:
            OrthancUnreachable: If Orthanc does not answer.
        """
        for path in self._folder.glob("*.dcm"):
            path.replace(path.with_suffix(".placing"))
            self._put_off.pop(path.stem, None)
        return sum(self._try(path) for path in sorted(self._folder.glob("*.placing")))

    def _try(self, path: Path) -> bool:
        """Put one in place, if it is its time; whether it is.

        Raises:
            OrthancUnreachable: If Orthanc does not answer.
        """
        state = self._put_off.setdefault(path.stem, _PutOff())
        if time.monotonic() < state.until:
            return False
        try:
            self._place(path, state)
        except OrthancUnreachable:
            raise
        except PacsError as error:
            if not state.pause_s:
                _log.error("instance %s cannot be put in place, trying %s again and again: %s", path.stem, path, error)
            state.pause_s = min(2 * state.pause_s or FIRST_PAUSE_S, LONGEST_PAUSE_S)
            state.until = time.monotonic() + state.pause_s
            return False
        del self._put_off[path.stem]
        return True

    def _place(self, path: Path, state: _PutOff) -> None:
        content = path.read_bytes()
        if not state.is_deleted:
            try:
                self._client.delete_instance(path.stem)
            except NotFound:
                _log.debug("instance %s is deleted already", path.stem)
            state.is_deleted = True
        outcome = self._client.store(content)
        path.unlink()
        if outcome.status is StoreStatus.ALREADY_STORED:
            _log.warning("instance %s came once more before it could be replaced; the last one stays", path.stem)
        else:
            _log.warning("instance %s was replaced by what came again with other content", path.stem)
