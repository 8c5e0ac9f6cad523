"""Stock chain: an Orthanc, a watcher that waits for 5 s of quiet, and a fresh process of the SDK's operators a series.

It is what a department builds by the SDK's manual, in its best form: instances are linked into the input folder as they
arrive, so that nothing is copied after the last one, and the process imports only the operators that it uses.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.sender import SCANNER
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.orthanc_configuration import Modality, OrthancSettings
from mapnode.pacs.orthanc_process import OrthancProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mapnode.pacs.orthanc_client import OrthancClient

QUIET_S = 5.0
"""As MONAI Deploy's gateway waits."""
LOOK_S = 0.1
PAGE = 1000


@dataclass
class Arriving:
    """A series.

    Attributes:
        last: When its last instance was seen, monotonic seconds.
        begun: Its process was started.
        computed_at: When that had ended, seconds since the epoch.
        threshold_s: What its threshold took.
    """

    last: float
    begun: bool = False
    computed_at: float = 0.0
    threshold_s: float = 0.0


class StockChain:
    """The chain, once it runs.

    Attributes:
        client: Its Orthanc.
        dicom_port: Where that listens.
        series: What came, by Orthanc's identifier.
    """

    def __init__(self, folder: Path, orthanc: OrthancProcess, client: OrthancClient, processes: int) -> None:
        """Bind it to an Orthanc that runs.

        Args:
            folder: For inputs and outputs.
            orthanc: Its process.
            client: Its REST.
            processes: At the same time.
        """
        self.client = client
        self.dicom_port = orthanc.settings.dicom_port
        self.series: dict[str, Arriving] = {}
        self._folder = folder
        self._storage = orthanc.settings.storage
        self._position = 0
        self._processes = ThreadPoolExecutor(processes)

    def watch(self, stop: threading.Event) -> None:
        """Follow the change log until told to stop."""
        while not stop.wait(LOOK_S):
            # Orthanc closes a kept connection now and then; what was not read is read with the next look.
            with contextlib.suppress(OrthancUnreachable):
                self._read()
            for series_id, one in self.series.items():
                if not one.begun and time.monotonic() - one.last >= QUIET_S:
                    one.begun = True
                    self._processes.submit(self._run, series_id, one)
        self._processes.shutdown()

    def _read(self) -> None:
        """Take what is new in the change log."""
        for change in self.client.changes(self._position, PAGE).changes:
            if change.type == "NewInstance":
                self._take(change.resource_id)
            self._position = change.seq

    def _take(self, instance_id: str) -> None:
        """Link an instance into the input of its series; results are none."""
        series_id = self.client.instance(instance_id).series_id
        if self.client.series(series_id).tags["Modality"] != "CT":
            return
        target = self._folder / "in" / series_id / f"{instance_id}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(self.client.attachment_path(instance_id, self._storage))
        known = self.series.setdefault(series_id, Arriving(0.0))
        known.last = time.monotonic()

    def _run(self, series_id: str, one: Arriving) -> None:
        """One fresh process, then its results by REST."""
        output = self._folder / "out" / series_id
        output.mkdir(parents=True)
        command = [sys.executable, "-m", "benchmarks.stock_app", str(self._folder / "in" / series_id), str(output)]
        # What it says besides goes to our own stderr: nobody else hears of a process that failed.
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        one.computed_at = time.time()
        one.threshold_s = json.loads(done.stdout.splitlines()[-1])["threshold_s"]
        for path in sorted(output.iterdir()):
            self.client.store(path.read_bytes())


@contextlib.contextmanager
def stock_chain(folder: Path, processes: int) -> Iterator[StockChain]:
    """Run a chain with an Orthanc of its own, which has the same settings as the node's.

    Args:
        folder: Made.
        processes: That may run at the same time.
    """
    settings = OrthancSettings(
        folder / "orthanc", dicom_port=free_port(), http_port=free_port(), modalities=(Modality(SCANNER, "127.0.0.1"),)
    )
    stop = threading.Event()
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        chain = StockChain(folder, orthanc, client, processes)
        watcher = threading.Thread(target=chain.watch, args=(stop,), daemon=True)
        watcher.start()
        try:
            yield chain
        finally:
            stop.set()
            watcher.join()
