"""Doors: what C-STORE is told, and the route by which the node closes the gate.

REST and DICOMweb ask in orthanc/gate.lua. What else stores (a job of Orthanc that goes on) is the node's own doing.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any

from mapnode_plugin.sender import TOKEN_HEADER

if TYPE_CHECKING:
    from mapnode_plugin.gate import Gate

OUT_OF_RESOURCES = 0xA700
"""PS3.4 B.2.3."""
GATE_PATH = "/mapnode/gate"


class Doors:
    """Orthanc's callbacks for what comes in.

    Args:
        api: Orthanc's module.
        gate: Whether it may.
        token: What the node shows.
    """

    def __init__(self, api: Any, gate: Gate, token: str) -> None:  # noqa: ANN401 - untyped
        self._api = api
        self._gate = gate
        self._token = token.encode()
        # Orthanc's Python plugin 5.0 (Debian 13) crashes at its end when the callback of a route is held by it alone.
        self._route = self.on_gate

    def register(self) -> None:
        """Ask Orthanc for its callbacks."""
        self._api.RegisterIncomingCStoreInstanceFilter(self.on_c_store)
        self._api.RegisterRestCallback(GATE_PATH, self._route)

    def on_c_store(self, instance: Any) -> int:  # noqa: ANN401 - Orthanc's own object
        """Before C-STORE stores: the status that the sender gets, 0 to go on."""
        return 0 if self._gate.admits(instance.GetInstanceSize()) else OUT_OF_RESOURCES

    def on_gate(self, output: Any, _uri: str, **request: Any) -> None:  # noqa: ANN401 - Orthanc's own objects
        """The node's route: PUT {"closed": true, "reason": "..."}; both PUT and GET answer the state.

        Orthanc's Python plugin 4.0 loses about 1 kB with each call: the node asks when something changes.
        """
        if not self._is_own(request["headers"]):
            output.SendHttpStatusCode(403)
            return
        if request["method"] == "PUT":
            try:
                wanted = json.loads(request["body"])
                self._gate.set(closed=bool(wanted["closed"]), reason=str(wanted.get("reason", "")))
            except (ValueError, LookupError, TypeError, AttributeError):
                output.SendHttpStatusCode(400)
                return
        elif request["method"] != "GET":
            output.SendMethodNotAllowed("GET,PUT")
            return
        output.AnswerBuffer(json.dumps(self._gate.state()), "application/json")

    def _is_own(self, headers: dict[str, str]) -> bool:
        shown = headers.get(TOKEN_HEADER.lower(), "").encode("utf-8", "replace")
        return hmac.compare_digest(shown, self._token)
