"""Sending: as scanners do: over an association for each study, again until all is answered with success."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage
from sqlalchemy.exc import DatabaseError

from mapnode.errors import NodeError
from tests.faults.studies import Study, as_sent
from tests.node_under_test import NodeUnderTest

SENDERS = 3
LONGEST_S = 1800.0
AGAIN_S = 0.5
"""Pause of a sender that was not answered, or refused."""
SUCCESS = 0x0000
NO_ANSWER = -1
"""Stands for the status where the association was not accepted, or ended."""


class Senders:
    """Threads that send study after study.

    Attributes:
        statuses: All that C-STORE was answered with, but success.
    """

    def __init__(self, node: NodeUnderTest, studies: Iterable[Study]) -> None:
        self._node = node
        self._waiting: queue.SimpleQueue[tuple[Study, ...]] = queue.SimpleQueue()
        self.statuses: set[int] = set()
        for group in as_sent(studies):
            self._waiting.put(group)
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(SENDERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=LONGEST_S)
            assert not thread.is_alive(), "studies could not be sent"

    def _send_all(self) -> None:
        while True:
            try:
                group = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._send([study.first for study in group])
            for study in group:
                if study.later:
                    self._wait_for_result(study)
                    self._send([study.later])

    def _send(self, files: Sequence[Sequence[Path]]) -> None:
        while (status := send_in_turns(self._node.dicom_port, files)) != SUCCESS:
            self.statuses.add(status)
            time.sleep(AGAIN_S)

    def _wait_for_result(self, study: Study) -> None:
        # Or for its quarantine, where kill after kill met it: what comes later is measured all the same.
        ends = {"done", "quarantined"}
        _until(lambda: any(j["state"] in ends for j in self._node.jobs() if j["study_instance_uid"] == study.uid))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while time.monotonic() < deadline:
        # The database is a victim, too.
        with contextlib.suppress(NodeError, DatabaseError):
            if holds():
                return
        time.sleep(AGAIN_S)


def send_in_turns(port: int, studies: Sequence[Sequence[Path]]) -> int:
    """Send one slice of each study after the other, over an association for each study.

    Returns:
        The first status (PS3.4 B.2.3) that is no success, NO_ANSWER where there was none.
    """
    entity = AE("SCANNER")
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    associations = [entity.associate("127.0.0.1", port, ae_title="MAPNODE") for _ in studies]
    try:
        for number in range(max(map(len, studies))):
            for association, files in zip(associations, studies, strict=True):
                if number >= len(files):
                    continue
                if not association.is_established:
                    return NO_ANSWER
                answer = association.send_c_store(dcmread(files[number]))
                if (status := int(answer.get("Status", NO_ANSWER))) != SUCCESS:
                    return status
        return SUCCESS
    finally:
        for association in associations:
            if association.is_established:
                association.release()
