"""Ground: node, worker, Orthanc and database of a run; what is killed is started again, as systemd would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.node_under_test import NodeUnderTest
from tests.postgres_under_test import PostgresUnderTest

RESTART_S = 0.3
"""How long somebody stays dead."""


class Ground:
    """All processes. `victims` are those that can be killed."""

    def __init__(self, folder: Path, *, postgres: bool) -> None:
        self.database = PostgresUnderTest() if postgres else None
        settings = {}
        if self.database is not None:
            self.database.start()
            settings["database"] = self.database.create("mapnode")
        self.node = NodeUnderTest(folder, publish_quiet_s=4.0, **settings)
        self.victims = ("node", "worker", "app", "orthanc", *(["database"] if postgres else []))
        self.delivered: list[str] = []
        self._worker: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._guard = threading.Thread(target=self._keep_alive, daemon=True)

    def start(self) -> None:
        self.node.start()
        self._guard.start()

    def kill(self, victim: str) -> bool:
        """Kill somebody; False where there is nobody to kill at the moment."""
        if victim == "database":
            assert self.database is not None
            self.database.kill()
            self._over.wait(RESTART_S)
            self.database.start()
            killed = True
        else:
            killed = _kill(self._pid_of(victim))
        if killed:
            self.delivered.append(victim)
        return killed

    def stop(self) -> None:
        self._over.set()
        self._guard.join()
        for process in (self._worker, self.node.process):
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(timeout=120)
        self.node.end_orthanc()
        if self.database is not None:
            self.database.stop()
            self.database.remove()

    def _pid_of(self, victim: str) -> int | None:
        try:
            if victim == "orthanc":
                return self.node.orthanc_pid()
            if victim == "app":
                return next(iter(_children_running(b"operators.runtime.worker")), None)
            process = self.node.process if victim == "node" else self._worker
            return process.pid if process is not None and process.poll() is None else None
        except (OSError, ValueError):
            return None

    def _keep_alive(self) -> None:
        while not self._over.wait(RESTART_S):
            for name, process in (("up", self.node.process), ("worker", self._worker)):
                if process is None or process.poll() is not None:
                    self._begin(name)

    def _begin(self, name: str) -> None:
        with (self.node.folder / f"{'node' if name == 'up' else name}.log").open("a") as log:
            command = [sys.executable, "-m", "mapnode", name, "--config", str(self.node.config)]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        if name == "up":
            self.node.process = process
        else:
            self._worker = process


def _kill(pid: int | None) -> bool:
    if pid is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def _children_running(program: bytes) -> list[int]:
    """Descendants of this process whose command line names a program."""
    parents, found = {os.getpid()}, []
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if parent in parents:
            parents.add(int(folder.name))
            if program in line:
                found.append(int(folder.name))
    return found
