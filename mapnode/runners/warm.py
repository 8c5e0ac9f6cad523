"""Warm runner: one process an app, started on demand, used again and again, replaced when it dies or hangs."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mapnode.errors import NodeError
from mapnode.runners.child import Child, forward, read_result
from operators.core.contract import Finished, Job, WorkOrder
from operators.core.errors import without_values

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mapnode.app_catalogue import App
    from operators.core.contract import Progress, Result


START_TIMEOUT_S = 120.0
"""Imports and model of a worker that is started before anybody waits for it."""


class WorkerLost(NodeError):
    """The worker process died or was killed in the middle of a run; another try may do better."""


class NodeStopping(NodeError):
    """The node stops: no worker is started any more."""


class WarmWorker:
    """The process of one app; runs come one after another.

    Attributes:
        app: The app.
        runs: How many runs the present process has answered.
    """

    def __init__(self, app: App) -> None:
        """Start nothing yet.

        Args:
            app: The app.
        """
        self.app = app
        self.runs = 0
        self._child: Child | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id, None while no process runs."""
        return self._child.process.pid if self._child is not None and self._child.process.poll() is None else None

    def run(
        self,
        source: Path,
        target: Path,
        job: Job,
        *,
        timeout_s: float,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Result:
        """Run the app once in the warm process.

        Args:
            source: Folder with DICOM files.
            target: Empty folder for the results; what stands there after WorkerLost is worth nothing.
            job: What the node says of the job.
            timeout_s: After this the process is killed.
            on_progress: Hears of progress.

        Returns:
            What result.json says.

        Raises:
            WorkerLost: If the process died or was killed for its time.
        """
        with self._lock:
            child = self._ready(timeout_s)
            order = WorkOrder(source=str(source.resolve()), target=str(target.resolve()), job=job)
            child.log.clear()
            started = time.monotonic()
            code = self._ask(child, order.model_dump_json(), timeout_s, on_progress)
            if code is None:
                raise WorkerLost(self._bury(child, time.monotonic() - started >= timeout_s, timeout_s))
            self.runs += 1
            return read_result(self.app, target, code, child.log)

    def warm_up(self) -> None:
        """Start the process before the first run asks for it.

        Raises:
            WorkerLost: If it does not start.
        """
        with self._lock:
            self._ready(START_TIMEOUT_S)

    def stop(self) -> None:
        """End the process, a running one as well."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.end()

    def _ready(self, timeout_s: float) -> Child:
        if self._child is None or self._child.process.poll() is not None:
            self.stop()
            self.runs = 0
            self._child = Child([sys.executable, "-m", "operators.runtime.worker", str(self.app.folder)])
            started = time.monotonic()
            if self._answer(self._child, None, timeout_s) != 0:
                raise WorkerLost(self._bury(self._child, time.monotonic() - started >= timeout_s, timeout_s))
        return self._child

    def _ask(
        self, child: Child, line: str, timeout_s: float, on_progress: Callable[[Progress], None] | None
    ) -> int | None:
        """The exit code of one run, None if the process ended before it said one."""
        try:
            child.say(line)
        except OSError:
            return None
        return self._answer(child, on_progress, timeout_s)

    def _answer(self, child: Child, on_progress: Callable[[Progress], None] | None, timeout_s: float) -> int | None:
        """What the process says within its time; after it the process is killed."""
        watchdog = threading.Timer(timeout_s, child.kill)
        watchdog.start()
        try:
            return self._listen(child, on_progress)
        finally:
            watchdog.cancel()

    @staticmethod
    def _listen(child: Child, on_progress: Callable[[Progress], None] | None) -> int | None:
        for line in child.lines():
            try:
                return Finished.model_validate_json(line).exit_code
            except ValidationError:
                forward(line, on_progress)
        return None

    def _bury(self, child: Child, timed_out: bool, timeout_s: float) -> str:
        """End what is left of the process, and say how it ended."""
        self._child = None
        child.kill()
        code = child.end()
        words = f"; last words: {without_values(child.log[-1])}" if child.log else ""
        if timed_out:
            return f"the worker of {self.app.name} took longer than {timeout_s:g} s and was killed"
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"the worker of {self.app.name} ended {how}{words}"


class WarmWorkers:
    """The warm workers of a node, one an app."""

    def __init__(self) -> None:
        """Start with none."""
        self._workers: dict[str, WarmWorker] = {}
        self._stopped = False
        self._lock = threading.Lock()

    def of(self, app: App) -> WarmWorker:
        """The worker of an app.

        Raises:
            NodeStopping: If no worker is started any more.
        """
        with self._lock:
            if self._stopped:
                raise NodeStopping("the node stops; the job goes on at the next start")
            return self._workers.setdefault(app.name, WarmWorker(app))

    def pids(self) -> dict[str, int | None]:
        """Process ids by app."""
        with self._lock:
            return {name: worker.pid for name, worker in self._workers.items()}

    def stop(self) -> None:
        """End all processes; none is started after that."""
        with self._lock:
            self._stopped = True
            workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.stop()
