"""What the PACS tests share: waiting, a receiver of events, a sender, settings on free ports."""

import os
import subprocess
import threading
import time

import httpx
import uvicorn
from fastapi import FastAPI

from mapnode.pacs import InstanceEvent, Modality, OrthancSettings, event_router, free_port
from tests.node_under_test import ORTHANC

TOKEN = "token of this test"


def eventually(condition, timeout_s=60.0):
    """Wait for a condition; its last value."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return value


class Received:
    """A node's receiver of events, on a port of its own."""

    def __init__(self):
        self.batches = []
        self.times = []
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/orthanc/events"
        app = FastAPI()
        app.include_router(event_router(TOKEN, self._take))
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="warning", ws="none", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def _take(self, batch):
        self.batches.append(batch)
        self.times.append(time.time())

    def of(self, kind):
        return [event for batch in self.batches for event in batch.of(kind)]

    @property
    def instances(self):
        return self.of(InstanceEvent)

    @property
    def instance_ids(self):
        return [event.id for event in self.instances]

    @property
    def conflicts(self):
        return [conflict for batch in self.batches for conflict in batch.conflicts]

    @property
    def unchecked(self):
        return sum(batch.unchecked for batch in self.batches)

    def start(self):
        self._thread.start()
        assert eventually(lambda: self._server.started)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(5)


def storescu(settings, *files, calling="SCANNER", called=None, options=()):
    """Send files as a scanner would."""
    command = ["storescu", *options, "-aet", calling, "-aec", called or settings.aet]
    command += ["127.0.0.1", str(settings.dicom_port), *map(str, files)]
    return run(*command)


def run(*command):
    """Run a program of dcmtk; without TCP_NODELAY each message waits 40 ms."""
    environment = os.environ | {"TCP_NODELAY": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


def upload(orthanc, path, content, headers=()):
    """Store a DICOM file over REST or DICOMweb (STOW-RS, PS3.18 10.5)."""
    user = orthanc.credentials
    if path.endswith("/studies"):
        head = b"--part\r\nContent-Type: application/dicom\r\n\r\n"
        content, kind = head + content + b"\r\n--part--", 'multipart/related; type="application/dicom"; boundary=part'
    else:
        kind = "application/dicom"
    headers = {"Content-Type": kind, **dict(headers)}
    return httpx.post(f"{orthanc.url}{path}", content=content, headers=headers, auth=(user.user, user.password))


def orthanc_settings(folder, **more):
    """Settings on free ports, with one scanner."""
    given = {
        "program": ORTHANC,
        "modalities": (Modality("SCANNER", "127.0.0.1"),),
        "dicom_port": free_port(),
        "http_port": free_port(),
    }
    return OrthancSettings(folder, **(given | more))
