"""Gate: closes and opens Orthanc for what comes from outside.

The plugin keeps the state (orthanc/mapnode_plugin/gate.py), and closes the gate by itself when the disk fills up. While
closed, senders get 0xA700, out of resources (PS3.4 B.2.3), REST and DICOMweb 403. What shows the plugin's token is the
node's own and comes in anyway, down to a reserve of the disk.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from mapnode.pacs.errors import PacsError

if TYPE_CHECKING:
    from mapnode.pacs.orthanc_client import OrthancClient

_PATH = "/mapnode/gate"
ASK_S = 600.0
"""The gate is asked so often, in case that nobody told of Orthanc's restart. Each question costs Orthanc about 1 kB of
memory for good (orthanc/mapnode_plugin/doors.py)."""

_log = logging.getLogger(__name__)


class GateState(BaseModel):
    """Whether objects come in from outside, and why not."""

    model_config = ConfigDict(frozen=True)

    closed: bool
    by_node: bool
    """The node closed it."""
    by_disk: bool
    """Too little room is left; it opens by itself when there is room again."""
    reason: str
    """The node's, where it closed it."""
    free_bytes: int
    """Of the storage folder, a moment ago."""


class Gate:
    """The gate of a running Orthanc. Every call answers the state after it.

    Orthanc starts with what the disk says alone: a node that wants it closed says so again after a restart, and a node
    that starts opens what its predecessor left closed. Without the plugin there is no gate: each call raises NotFound.

    Args:
        client: Orthanc, with the plugin's token.
    """

    def __init__(self, client: OrthancClient) -> None:
        self._client = client

    def close(self, reason: str) -> GateState:
        """Let nothing in but the node's own."""
        return self._client.ask(GateState, "PUT", _PATH, json={"closed": True, "reason": reason})

    def open(self) -> GateState:
        """Let in what comes, as far as the disk has room."""
        return self._client.ask(GateState, "PUT", _PATH, json={"closed": False})

    def state(self) -> GateState:
        """How it stands."""
        return self._client.ask(GateState, "GET", _PATH)


class GateKeeper:
    """Keeps the gate as the node wants it, and asks it seldom.

    Args:
        gate: The gate.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._wanted: str | None = None
        self._next_s = 0.0

    def doubt(self) -> None:
        """Orthanc has started anew: look with the next turn. From any thread."""
        self._next_s = 0.0

    def keep(self, reason: str | None) -> None:
        """See to it that the gate is closed for a reason, or open; what fails is tried again with the next turn.

        Args:
            reason: Why it has to be closed; None: it has to be open.
        """
        now = time.monotonic()
        if reason == self._wanted and now < self._next_s:
            return
        self._wanted, self._next_s = reason, now + ASK_S
        try:
            if self._set(reason):
                _log.info("studies are taken again" if reason is None else f"no study is taken any more: {reason}")
        except PacsError as error:
            _log.debug("the gate cannot be asked: %s", error)
            self.doubt()

    def _set(self, reason: str | None) -> bool:
        """Whether the gate was not as it has to be."""
        if self._gate.state().by_node == (reason is not None):
            return False
        self._gate.open() if reason is None else self._gate.close(reason)
        return True
