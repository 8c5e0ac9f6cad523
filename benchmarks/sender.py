"""Sender: studies over C-STORE on loopback, as fast as may be or at a scanner's pace, with the last response's time."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from pynetdicom.sop_class import CTImageStorage

from mapnode.demo import storescu_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SCANNER, CALLED = "SCANNER", "MAPNODE"
RESPONSE = "Received Store Response"
"""What storescu -v says of each; the line comes as it happens."""
NODELAY = {"TCP_NODELAY": "1"}
"""DCMTK leaves Nagle's algorithm on without it; each small write then waits 40 ms for a delayed ACK."""


class NotSent(RuntimeError):
    """The receiver refused an instance."""


def send(files: Sequence[Path], port: int, calling: str = SCANNER) -> float:
    """Send as fast as may be, with storescu.

    Returns:
        When the last C-STORE response came, seconds since the epoch.

    Raises:
        NotSent: If one was not taken.
    """
    last, responses = 0.0, 0
    for program, *arguments in storescu_command(files, calling=calling, called=CALLED, port=port):
        command = [program, "-v", *arguments]
        with subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | NODELAY
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if RESPONSE in line:
                    last, responses = time.time(), responses + 1
        if process.returncode:
            raise NotSent(f"storescu ended with {process.returncode}")
    if responses != len(files):
        raise NotSent(f"{len(files)} sent, {responses} answered")
    return last


def send_at_pace(files: Sequence[Path], port: int, instances_per_second: float, calling: str = SCANNER) -> float:
    """Send at a scanner's pace, over one association.

    Returns:
        When the last C-STORE response came, seconds since the epoch.

    Raises:
        NotSent: If one was not taken.
    """
    _config.STORE_SEND_CHUNKED_DATASET = True
    scanner = AE(calling)
    scanner.add_requested_context(CTImageStorage, read_file_meta_info(files[0]).TransferSyntaxUID)
    association = scanner.associate("127.0.0.1", port, ae_title=CALLED)
    if not association.is_established:
        raise NotSent("the association was refused")
    connection = association.dul.socket.socket
    assert connection is not None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    begun = time.monotonic()
    for number, path in enumerate(files):
        time.sleep(max(0.0, begun + number / instances_per_second - time.monotonic()))
        status = association.send_c_store(path).get("Status")
        if status != 0:
            raise NotSent(f"{path.name} was answered with {status}")
    last = time.time()
    association.release()
    return last
