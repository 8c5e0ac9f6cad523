"""Sender: a thread that completes events and posts them to the node, on one connection that is kept open."""

from __future__ import annotations

import http.client
import threading
from typing import Any
from urllib.parse import urlsplit

from mapnode_plugin.details import complete
from mapnode_plugin.outbox import Outbox

TOKEN_HEADER = "X-Mapnode-Token"  # noqa: S105 - a header's name
BATCH_S = 0.05
"""Pause between two posts; what gathers meanwhile goes together. Each post costs intake about 1 ms of a core."""
RETRY_S = 1.0
"""Pause after a post that failed."""
TIMEOUT_S = 2.0
STOP_S = 3.0
"""How long the end of the thread is waited for."""
REFUSALS = (413, 422)
"""Answers that will be the same next time."""


class NotTaken(ConnectionError):
    """The node answers, and does not take the events now."""


class Refused(NotTaken):
    """The node takes events, but never these."""


class Receiver:
    """The node's end of the connection, which is kept open.

    Args:
        url: The node's address for events.
        token: The secret to show there.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"EventUrl has to be http://host:port/path, got {url!r}")
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._headers = {"Content-Type": "application/json", TOKEN_HEADER: token}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> None:
        """Post a batch.

        Args:
            body: JSON.

        Raises:
            ConnectionError: If the node does not answer.
            NotTaken: If it does not take it.
        """
        if self._connection is not None:
            try:
                self._send(self._connection, body)
            except NotTaken:
                raise
            except (OSError, http.client.HTTPException):
                self.close()  # it closed a connection that was idle: worth one more try
            else:
                return
        self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            self._send(self._connection, body)
        except NotTaken:
            raise
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _send(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        """Send a batch and read the answer.

        Raises:
            NotTaken: If the answer is an error.
            Refused: If it will be the same error each time.
        """
        connection.request("POST", self._path, body, self._headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status in REFUSALS:
            raise Refused(f"it answered {answer.status} {answer.reason}")
        if answer.status >= 300:
            raise NotTaken(f"it answered {answer.status} {answer.reason}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Sender(threading.Thread):
    """Posts what gathers in the outbox, one batch at a time.

    Args:
        api: Orthanc's module.
        outbox: Where events wait.
        receiver: The node.
    """

    def __init__(self, api: Any, outbox: Outbox, receiver: Receiver) -> None:  # noqa: ANN401 - untyped
        super().__init__(name="mapnode sender", daemon=True)
        self._api = api
        self._outbox = outbox
        self._receiver = receiver
        self._stopping = threading.Event()
        self._reached = True

    def run(self) -> None:
        """Post until told to stop, then what is left, once."""
        while not self._stopping.is_set():
            self._outbox.wait()
            self._stopping.wait(BATCH_S if self.post() else RETRY_S)
        self.post()
        self._receiver.close()

    def post(self) -> bool:
        """Post one batch, if there is any; whether that went well."""
        batch = self._outbox.take()
        if batch is None:
            return True
        completed = [complete(self._api, event) for event in batch.events]
        batch = batch._replace(events=[event for event in completed if event is not None])
        if not any(batch):
            return True
        try:
            self._receiver.post(batch.as_json())
        except OSError as error:
            self._outbox.give_back(batch, refused=isinstance(error, Refused))
            if self._reached:
                self._api.LogWarning(f"mapnode: the node does not take events ({error})")
            self._reached = False
            return False
        if not self._reached:
            self._api.LogWarning("mapnode: the node takes events again")
        self._reached = True
        return True

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._outbox.wake()
        self.join(STOP_S)
