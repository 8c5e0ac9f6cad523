"""A node in a process of its own, on free ports, for tests that send to it and kill it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from mapnode.database import Place, place_of
from mapnode.demo import storescu_command
from mapnode.intake.intake import ANOTHER_CAME
from mapnode.jobs.ledger import Ledger
from mapnode.node_folder import STATE_NAME
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.orthanc_configuration import load_credentials
from mapnode.pacs.orthanc_process import free_port
from mapnode.records import Records
from mapnode.records.job_states import ACTIVE

T = TypeVar("T")
ORTHANC = os.environ.get("MAPNODE_TEST_ORTHANC", "Orthanc")
"""Program of the Orthanc under test: `make test-orthanc-1.12` names another one."""
RULES = {
    "rules": [
        {
            "name": "trunk",
            "app": "ct_body_composition",
            "when": [{"attribute": "Modality", "equals": "CT"}, {"fact": "instances", "range": {"min": 10}}],
        }
    ]
}


class NodeUnderTest:
    """Start, kill, ask."""

    def __init__(
        self,
        folder: Path,
        *,
        plugin: bool = True,
        rules: Any = RULES,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.dicom_port, self.http_port, self.receiver_port = free_port(), free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.database = settings.get("database")
        document = {
            "var": "var",
            "settle_s": 0.5,
            "publish_quiet_s": 1.5,
            **settings,
            "orthanc": {
                "program": ORTHANC,
                "dicom_port": self.dicom_port,
                "http_port": self.http_port,
                "plugin": plugin,
                "modalities": [
                    {"aet": "SCANNER", "host": "127.0.0.1", "port": 104},
                    {"aet": "VIEWER", "host": "127.0.0.1", "port": self.receiver_port},
                ],
            },
        }
        self.config.write_text(yaml.safe_dump(document))
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))

    @property
    def config(self) -> Path:
        return self.folder / "mapnode.yaml"

    @property
    def var(self) -> Path:
        return self.folder / "var"

    @property
    def place(self) -> Place:
        return place_of(self.var, self.database)

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")

    def start(self) -> None:
        with (self.folder / "node.log").open("a") as log:
            command = [sys.executable, "-m", "mapnode", "up", "--config", self.config]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=self.environment)

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            try:
                return bool(json.loads((self.var / STATE_NAME).read_text())["pid"] == self.process.pid)
            except (OSError, ValueError):
                return False

        wait_for(ready, 120, "the node to be ready")

    def wait_until_warm(self) -> dict[str, Any]:
        """The node's only worker, once it is ready for a job."""

        def warm() -> list[dict[str, Any]]:
            return [worker for worker in self.command("status")["workers"] if worker["state"] == "idle"]

        (worker,) = wait_for(warm, 120, "the worker to be warm")
        return worker

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def orthanc_pid(self) -> int:
        return int((self.var / "orthanc" / "orthanc.pid").read_text())

    def end_orthanc(self) -> None:
        """Stop an Orthanc that outlived its node, and wait until it is gone."""
        try:
            pid = self.orthanc_pid()
            os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            return
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), 30, "Orthanc to stop")

    def client(self) -> OrthancClient:
        credentials = load_credentials(self.var / "orthanc")
        return OrthancClient(f"http://127.0.0.1:{self.http_port}", credentials.user, credentials.password)

    def send(self, files: Iterable[Path], *, aet: str = "SCANNER", called: str = "MAPNODE") -> int:
        commands = storescu_command(files, calling=aet, called=called, port=self.dicom_port)
        return max(subprocess.run(command, capture_output=True, check=False).returncode for command in commands)

    def command(self, *arguments: str, code: int = 0) -> Any:
        command = [sys.executable, "-m", "mapnode", *arguments, "--config", str(self.config), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def jobs(self) -> list[dict[str, Any]]:
        ledger = Ledger(self.place)
        try:
            return ledger.newest()
        finally:
            ledger.close()

    def ended_jobs(self, count: int = 1, timeout_s: float = 120) -> list[dict[str, Any]]:
        """The jobs, once so many have ended and none is under way.

        A job that was called back since another instance came has a successor, or soon will: a slow machine can take
        a pause in the middle of sending for the end of a series. It does not count.
        """

        def ended() -> list[dict[str, Any]] | None:
            jobs = [job for job in self.jobs() if not is_followed(job)]
            under_way = [job for job in jobs if job["state"] in ACTIVE]
            return jobs if len(jobs) >= count and not under_way else None

        return wait_for(ended, timeout_s, f"{count} jobs to end; log: {self.log[-3000:]}")

    def ended_job(self, series_instance_uid: str) -> dict[str, Any]:
        """The job of a series, once it has ended."""

        def ended() -> list[dict[str, Any]]:
            return [
                job
                for job in self.jobs()
                if job["series_instance_uid"] == series_instance_uid
                and job["state"] not in ACTIVE
                and not is_followed(job)
            ]

        (job,) = wait_for(ended, 120, f"the job of {series_instance_uid}; log: {self.log[-3000:]}")
        return job

    def decisions(self, series_instance_uid: str | None = None) -> list[Any]:
        """What the rules said, of one series or of all, once they said anything."""
        records = Records(self.place.records)
        try:
            return wait_for(lambda: records.decisions.all(series_instance_uid), 120, "a decision")
        finally:
            records.close()


def is_followed(job: dict[str, Any]) -> bool:
    """Whether a job gave way to one that has more instances, or soon will."""
    return bool(job["state"] == "recalled" and job["reason"] == ANOTHER_CAME)


def wait_for(look: Callable[[], T], timeout_s: float, what: str) -> T:
    """What a look gives as soon as it gives anything true."""
    deadline = time.monotonic() + timeout_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.05)
