"""Gate: closes and opens Orthanc for what comes from outside.

The plugin keeps the state (orthanc/mapnode_plugin/gate.py), and closes the gate by itself when the disk fills up. While
closed, senders get 0xA700, out of resources (PS3.4 B.2.3), REST and DICOMweb 403. What shows the plugin's token is the
node's own and comes in anyway, down to a reserve of the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from mapnode.pacs.orthanc_client import OrthancClient

_PATH = "/mapnode/gate"


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
