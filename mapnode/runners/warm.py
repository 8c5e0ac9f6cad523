"""Warm runner: the warm processes of a node, several an app where runs ask for them, as many as memory allows."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from mapnode.errors import NodeError
from mapnode.runners.memory import available_memory_bytes, machine_memory_bytes, parse_memory
from mapnode.runners.threads import share_of_cores
from mapnode.runners.worker import RunCancelled, WarmWorker, WorkerLost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mapnode.app_catalogue import App
    from operators.core.contract import Job, Progress, Result

IDLE_S = 1800.0
"""A worker that was not asked for so long ends; the next run starts another one."""
SHARE_OF_MEMORY = 0.75
"""Of the machine's memory, for all workers together; Orthanc, the node and the page cache have the rest."""
LEAST_AVAILABLE = 0.1
"""Of the machine's memory: while less is available, idle workers end."""
WATCH_S = 1.0

_log = logging.getLogger(__name__)


class NodeStopping(NodeError):
    """The node stops: no worker is started any more."""


class WarmWorkers:
    """The warm workers of a node.

    A run takes an idle worker of its app, else a new one; how many run at the same time is the caller's business. Of
    what is idle as much is kept as memory allows, the least recently used ends first.
    """

    def __init__(self, *, memory_bytes: int | None = None, runs: int = 1, idle_s: float = IDLE_S) -> None:
        """Start with none.

        Args:
            memory_bytes: For all workers together; a share of the machine's where not given.
            runs: How many run at the same time at most: they share the machine's cores.
            idle_s: After so long without a run a worker ends.
        """
        self.memory_bytes = memory_bytes or int(SHARE_OF_MEMORY * machine_memory_bytes())
        self._threads = share_of_cores(runs)
        self._idle_s = idle_s
        self._workers: list[WarmWorker] = []
        self._taken: set[WarmWorker] = set()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._watch = threading.Thread(target=self._watch_idle, name="warm workers", daemon=True)
        self._watch.start()

    def of(self, app: App) -> AppWorkers:
        """The workers of one app.

        Raises:
            NodeStopping: If no worker is started any more.
        """
        if self._stopped.is_set():
            raise NodeStopping("the node stops; the job goes on at the next start")
        return AppWorkers(self, app)

    def has_room_for(self, app: App) -> bool:
        """Whether a run of an app fits into the memory beside those that are under way."""
        with self._lock:
            return self._claimed_bytes() + _claim_bytes(app) <= self.memory_bytes

    def describe(self) -> list[dict[str, Any]]:
        """For `mapnode status`: each worker that has a process."""
        with self._lock:
            workers = list(self._workers)
        return [
            {
                "app": worker.app.name,
                "pid": worker.pid,
                "state": str(worker.state),
                "rss_mb": round(worker.memory_bytes / 2**20, 1),
                "runs": worker.runs,
                "since": worker.since,
            }
            for worker in workers
            if worker.pid is not None
        ]

    def stop(self) -> None:
        """End all processes; none is started after that."""
        with self._lock:
            self._stopped.set()
            workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()
        self._watch.join()

    def read_ahead(self, app: str, files: Iterable[Path]) -> None:
        """Tell a worker of an app that has nothing to do what its next run will be about; nothing where there is none.

        Args:
            app: Its name.
            files: Instances; the run gets them or hard links of them.
        """
        with self._lock:
            worker = next((w for w in reversed(self._idle()) if w.app.name == app), None)
        if worker is not None:
            worker.read_ahead(files)

    def take(self, app: App) -> WarmWorker:
        """A worker of an app that nobody else has, until it is put back.

        Raises:
            NodeStopping: If no worker is started any more.
        """
        with self._lock:
            if self._stopped.is_set():
                raise NodeStopping("the node stops; the job goes on at the next start")
            outgrown = [w for w in self._idle() if w.memory_bytes > _claim_bytes(w.app)]
            self._drop(outgrown)
            worker = next((w for w in reversed(self._idle()) if w.app.name == app.name), None)
            surplus = self._surplus(_claim_bytes(app)) if worker is None else []
            self._drop(surplus)
            if worker is None:
                worker = WarmWorker(app, self._threads)
                self._workers.append(worker)
            self._taken.add(worker)
        self._retire(outgrown, "it holds more memory than its manifest says")
        self._retire(surplus, "another app needs its memory")
        return worker

    def put_back(self, worker: WarmWorker) -> None:
        """Let others have a worker."""
        with self._lock:
            self._taken.discard(worker)
            if worker.pid is None:
                self._drop([worker])

    def _idle(self) -> list[WarmWorker]:
        """Those that nobody has, least recently used first."""
        return sorted((w for w in self._workers if w not in self._taken), key=lambda w: w.last_used)

    def _claimed_bytes(self) -> int:
        """What runs under way may need."""
        return sum(_claim_bytes(worker.app) for worker in self._taken)

    def _surplus(self, claim_bytes: int) -> list[WarmWorker]:
        """Idle workers that have to end so that a new claim fits, least recently used first."""
        room = self.memory_bytes - self._claimed_bytes() - claim_bytes
        idle = self._idle()
        held = sum(worker.memory_bytes for worker in idle)
        surplus = []
        for worker in idle:
            if held <= room:
                break
            surplus.append(worker)
            held -= worker.memory_bytes
        return surplus

    def _drop(self, workers: list[WarmWorker]) -> None:
        self._workers = [w for w in self._workers if w not in workers]

    def _watch_idle(self) -> None:
        while not self._stopped.wait(WATCH_S):
            with self._lock:
                surplus = [w for w in self._idle() if time.monotonic() - w.last_used > self._idle_s]
                if not surplus and available_memory_bytes() < LEAST_AVAILABLE * machine_memory_bytes():
                    surplus = self._idle()[:1]
                self._drop(surplus)
            self._retire(surplus, "it was idle")

    @staticmethod
    def _retire(workers: list[WarmWorker], why: str) -> None:
        for worker in workers:
            _log.info("ending the worker of %s (%s)", worker.app.name, why)
            worker.stop()


class AppWorkers:
    """The workers of one app, which a node runs as if they were one."""

    def __init__(self, workers: WarmWorkers, app: App) -> None:
        """Start nothing yet.

        Args:
            workers: All workers.
            app: The app.
        """
        self._workers = workers
        self._app = app

    def run(
        self,
        source: Path,
        target: Path,
        job: Job,
        *,
        timeout_s: float,
        on_progress: Callable[[Progress], None] | None = None,
        cancelled: Callable[[], bool] | threading.Event | None = None,
    ) -> Result:
        """As `WarmWorker.run`, in a process that nobody else uses meanwhile."""
        worker = self._workers.take(self._app)
        try:
            return worker.run(source, target, job, timeout_s=timeout_s, on_progress=on_progress, cancelled=cancelled)
        finally:
            self._workers.put_back(worker)

    def warm_up(self) -> None:
        """As `WarmWorker.warm_up`."""
        worker = self._workers.take(self._app)
        try:
            worker.warm_up()
        finally:
            self._workers.put_back(worker)


def _claim_bytes(app: App) -> int:
    """What a run of an app needs at most, as its manifest says."""
    return parse_memory(app.manifest.resources.memory)


__all__ = ["AppWorkers", "NodeStopping", "RunCancelled", "WarmWorker", "WarmWorkers", "WorkerLost"]
