"""Node folder: what keeps two nodes apart and lets commands and Orthanc's plugin find the one that runs."""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
import socket
from typing import IO, TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.pacs.orthanc_configuration import LOOPBACK, write_private

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK_NAME = "node.lock"
CHANNEL_NAME = "channel.json"
STATE_NAME = "node.json"
"""The small file by which commands find a running node."""


@contextlib.contextmanager
def only_node(folder: Path) -> Iterator[None]:
    """Be the only node on a folder while it lasts; the folder is made where it is missing.

    Raises:
        WrongUse: If another one holds it, or nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock: IO[str] = (folder / LOCK_NAME).open("a+", encoding="utf-8")
    except OSError as error:
        raise WrongUse(
            f"{folder} cannot be written: {error.strerror}; `var` has to name a folder that this user may write"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise WrongUse(f"another node runs on {folder}; stop it, or set `var` to a folder of its own") from error
    try:
        yield
    finally:
        lock.close()


def event_channel(folder: Path, port_for_others: int | None = None) -> tuple[socket.socket, str]:
    """The socket and the token by which Orthanc's plugin reaches the node, the same after a restart.

    An Orthanc that outlived its node goes on telling there; where the port was taken meanwhile, another one is.

    Args:
        folder: The node's folder.
        port_for_others: Listen there on all interfaces, for an Orthanc elsewhere, and not on loopback.

    Raises:
        WrongUse: If that port is taken.
    """
    path = folder / CHANNEL_NAME
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        port, token = int(known["port"]), str(known["token"])
    except (OSError, ValueError, KeyError):
        port, token = 0, secrets.token_urlsafe(32)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if port_for_others is not None:
        _listen_for_others(listener, port_for_others)
    else:
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            listener.bind((LOOPBACK, 0))
    write_private(path, json.dumps({"port": listener.getsockname()[1], "token": token}))
    return listener, token


def _listen_for_others(listener: socket.socket, port: int) -> None:
    """Listen on every interface.

    Raises:
        WrongUse: If the port is taken.
    """
    try:
        listener.bind(("0.0.0.0", port))  # noqa: S104 - events show the token, and the status names no patient
    except OSError as error:
        listener.close()
        raise WrongUse(f"port {port} (orthanc.elsewhere.node_port) cannot be used: {error.strerror}") from error
