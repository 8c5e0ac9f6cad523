"""Worker: one warm process of an app, used again and again, replaced when it dies, hangs or grows."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mapnode.errors import NodeError
from mapnode.runners.child import Child, forward, read_result
from mapnode.runners.memory import own_memory_bytes
from mapnode.runners.threads import share_of_cores, thread_variables
from operators.core.contract import ExitCode, Finished, Job, ReadAhead, Signal, WorkOrder
from operators.core.errors import without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mapnode.app_catalogue import App
    from operators.core.contract import Progress, Result


START_TIMEOUT_S = 120.0
"""Imports and model of a worker that is started before anybody waits for it."""
PING_TIMEOUT_S = 10.0
"""A process that does not answer by then is replaced; one that is well answers within milliseconds."""
CANCEL_GRACE_S = 1.5
"""Until a cancelled run has to have looked up; then its process is killed."""
LOOK_S = 0.1
"""How often it is asked whether a run is cancelled."""


class WorkerLost(NodeError):
    """The worker process died or was killed in the middle of a run; another try may do better."""


class WorkerNotStarted(WorkerLost):
    """The worker process ended before it took anything: the installation is at fault, and no input."""


class RunCancelled(NodeError):
    """The run was cancelled; its output folder is worth nothing."""


class WorkerState(StrEnum):
    """What a worker does."""

    STOPPED = "stopped"
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"


@dataclass(frozen=True)
class _Question:
    """What an answer of the process is waited for with.

    Attributes:
        timeout_s: After it the process is killed.
        on_progress: Hears of progress.
        cancelled: Says whether the answer is not wanted any more.
    """

    timeout_s: float
    on_progress: Callable[[Progress], None] | None = None
    cancelled: Callable[[], bool] = lambda: False


class WarmWorker:
    """One process of one app; runs come one after another.

    Attributes:
        app: The app.
        runs: How many runs the present process has answered.
        since: When it was started, seconds since 1970.
        last_used: `time.monotonic()` of its last answer.
        state: What it does.
    """

    def __init__(self, app: App, threads: int | None = None) -> None:
        """Start nothing yet.

        Args:
            app: The app.
            threads: What its matrices may use; every core where not given.
        """
        self.app = app
        self.runs = 0
        self.since: float | None = None
        self.last_used = time.monotonic()
        self.state = WorkerState.STOPPED
        self._threads = threads or share_of_cores(1)
        self._child: Child | None = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id, None while no process runs."""
        child = self._child
        return child.process.pid if child is not None and child.is_running() else None

    @property
    def memory_bytes(self) -> int:
        """Memory that ends with the process; 0 while none runs."""
        pid = self.pid
        return 0 if pid is None else own_memory_bytes(pid)

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
        """Run the app once in the warm process.

        Args:
            source: Folder with DICOM files.
            target: Empty folder for the results; what stands there after an error is worth nothing.
            job: What the node says of the job.
            timeout_s: After this the process is killed.
            on_progress: Hears of progress, while it runs.
            cancelled: Set, or true when called, once the run is not wanted any more. The process then ends it where
                an operator begins or reports; one that does not within CANCEL_GRACE_S is killed.

        Returns:
            What result.json says.

        Raises:
            WorkerLost: If the process died or was killed for its time.
            RunCancelled: If the run was cancelled, be it done meanwhile.
            OSError: If the target takes no more: the disk is full.
            Exception: What `on_progress` or `cancelled` raise; the process is ended.
        """
        is_cancelled = cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled or (lambda: False)
        with self._lock:
            if is_cancelled():
                raise RunCancelled(f"the run of {self.app.name} was cancelled before it began")
            child = self._ready(timeout_s)
            self.state = WorkerState.BUSY
            try:
                child.log.clear()
                order = WorkOrder(
                    source=str(source.resolve()), target=str(target.resolve()), model=_path(self.app), job=job
                )
                code = self._ask(child, order, _Question(timeout_s, on_progress, is_cancelled))
            except (WorkerLost, RunCancelled):
                raise
            except Exception:
                # Who listens failed, for the records for instance: what the process has yet to say would be taken for
                # the answer to the next run.
                self._bury(child)
                raise
            finally:
                self.last_used = time.monotonic()
                if self._child is not None:
                    self.runs += 1
                    self.state = WorkerState.IDLE
            if code == ExitCode.WRONG_USE:  # the folders are ours: only what lies behind the target can be wrong
                raise OSError(errno.ENOSPC, f"{self.app.name} could not write its results")
            return read_result(self.app.name, self.app.version, target, code, child.log)

    def read_ahead(self, files: Iterable[Path]) -> None:
        """Have the process read the headers of files of which a run follows soon; nothing where it has other work.

        Args:
            files: The files; the run gets them or hard links of them.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._child is not None:
                self._tell(self._child, ReadAhead(files=tuple(map(str, files))))
        finally:
            self._lock.release()

    def warm_up(self) -> None:
        """Start the process before the first run asks for it.

        Raises:
            WorkerNotStarted: If it does not start.
        """
        with self._lock:
            self._ready(START_TIMEOUT_S)

    def close(self) -> None:
        """End the process, a running one as well; none is started after that."""
        self._closed = True
        self.stop()

    def stop(self) -> None:
        """End the process, a running one as well; the next run starts another one."""
        child, self._child = self._child, None
        self.state = WorkerState.STOPPED
        if child is not None:
            child.kill()
            child.end()

    def _ready(self, timeout_s: float) -> Child:
        """A process that answers: the one that is there, else a new one.

        Raises:
            WorkerNotStarted: If a new one does not start.
        """
        if self._child is not None and self._answers_ping(self._child):
            return self._child
        self.stop()
        self.runs = 0
        self.state, self.since = WorkerState.STARTING, time.time()
        model = _path(self.app)
        # -P: what lies where the node was started is none of the app's.
        program = [sys.executable, "-P", "-m", "operators.runtime.worker"]
        command = [*program, str(self.app.folder), *([model] if model else [])]
        self._child = child = Child(command, thread_variables(self._threads, os.environ))
        child.read_ahead()
        if self._closed:
            raise WorkerNotStarted(self._bury(child))
        try:
            self._answer(child, _Question(timeout_s))
        except WorkerLost as error:
            raise WorkerNotStarted(str(error)) from error
        self.state = WorkerState.IDLE
        return child

    def _answers_ping(self, child: Child) -> bool:
        """Whether a process that has nothing to do is well; one that is not is ended."""
        if not child.is_running():
            return False
        try:
            self._ask(child, Signal(signal="ping"), _Question(PING_TIMEOUT_S))
        except WorkerLost:
            return False
        return True

    def _ask(self, child: Child, line: WorkOrder | Signal, question: _Question) -> int:
        """Say one line and wait for its answer, as `_answer` does.

        Raises:
            WorkerLost: As there.
        """
        try:
            child.say(line.model_dump_json())
        except OSError:
            raise WorkerLost(self._bury(child)) from None
        return self._answer(child, question)

    def _answer(self, child: Child, question: _Question) -> int:
        """The exit code that the process says.

        Raises:
            WorkerLost: If it ended before, or was killed for its time.
            RunCancelled: If the answer was not wanted any more.
        """
        deadline, told = time.monotonic() + question.timeout_s, False
        while True:
            try:
                code = self._listen(child, min(LOOK_S, deadline - time.monotonic()), question)
            except WorkerLost:
                if told:
                    break
                raise
            if not told and question.cancelled():
                told = True
                deadline = min(deadline, time.monotonic() + CANCEL_GRACE_S)
                self._tell(child, Signal(signal="cancel"))
            if code is not None:
                break
            if time.monotonic() >= deadline:
                self._bury(child)
                break
        if told:
            raise RunCancelled(f"the run of {self.app.name} was cancelled")
        if code is None:
            raise WorkerLost(f"the worker of {self.app.name} took longer than {question.timeout_s:g} s and was killed")
        return code

    def _listen(self, child: Child, timeout_s: float, question: _Question) -> int | None:
        """One line of the process, if there is one within the time: the exit code where it says it.

        Raises:
            WorkerLost: If there is none any more.
        """
        try:
            line = child.next_line(timeout_s)
        except TimeoutError:
            return None
        if not line:
            raise WorkerLost(self._bury(child))
        try:
            return Finished.model_validate_json(line).exit_code
        except ValidationError:
            forward(line, question.on_progress)
            return None

    @staticmethod
    def _tell(child: Child, line: ReadAhead | Signal) -> None:
        try:
            child.say(line.model_dump_json())
        except OSError:
            return  # it ended: the next line says so

    def _bury(self, child: Child) -> str:
        """End what is left of the process, and say how it ended."""
        self._child, self.state = None, WorkerState.STOPPED
        child.kill()
        code = child.end()
        words = f"; last words: {without_values(child.log[-1])}" if child.log else ""
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"the worker of {self.app.name} ended {how}{words}"


def _path(app: App) -> str | None:
    """The folder of an app's weights."""
    return None if app.model is None else str(app.model.path.resolve())
