"""Stager: the node's side of staging; names arriving files to a process of its own, and starts that again."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import shutil
import sys
import threading
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mapnode.runners.child import WITH_THE_NODE, Child
from mapnode.staging.messages import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

COMMAND = (sys.executable, "-m", "mapnode.staging.process")
MOST_PENDING = 50_000
"""Files that wait; more are not staged, but decoded by the job."""
MOST_SENT = 4 * len(os.sched_getaffinity(0))
"""Requests that the process holds, twice what it decodes ahead; the others can still be overtaken or forgotten."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
"""Before a process is started again that died without having begun anything; doubled each time."""
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_log = logging.getLogger(__name__)


@dataclass
class _Pending:
    """One request that is not answered; `begun` once the process said so."""

    series_key: str
    request: Request
    begun: bool = False


class Stager:
    """Stages instances as they arrive. A stage makes a job faster, never different: nothing here can fail a job.

    Each file is begun once: one that kills the process is left to the job, which says what is wrong with it.
    """

    def __init__(self, root: Path, command: Sequence[str] = COMMAND) -> None:
        """Start the process.

        Args:
            root: Folder of all stages, made where it is missing; `sweep` removes what an earlier node left there.
            command: The process.
        """
        root.mkdir(parents=True, exist_ok=True)
        self._root = root.resolve()
        self._command = [*WITH_THE_NODE, *command]
        self._pending: dict[int, _Pending] = {}
        self._waiting: OrderedDict[str, deque[int]] = OrderedDict()
        self._sent: set[int] = set()
        self._of_series: Counter[str] = Counter()
        self._staged_slices = 0
        self._next_id = 0
        self._starts = 0
        self._stopped = False
        self._child: Child | None = None
        self._changed = threading.Condition()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in (("staging", self._supervise), ("staging requests", self._send))
        ]
        for thread in self._threads:
            thread.start()

    def add(self, series_key: str, path: Path) -> None:
        """Stage a file soon; returns at once.

        Args:
            series_key: What names the series, for instance Orthanc's identifier.
            path: A DICOM file which stays as it is; hard links of it are served too.
        """
        self._request(series_key, str(path.resolve()))

    def folder(self, series_key: str) -> Path:
        """Where the stage of a series is, or will be: `Job.staged`."""
        safe = SAFE_NAME.fullmatch(series_key) is not None
        return self._root / (series_key if safe else hashlib.sha256(series_key.encode()).hexdigest())

    def wait(self, series_key: str, timeout_s: float) -> bool:
        """Wait until nothing of a series is pending: whether that is so. A job need not: it decodes the rest."""
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or not self._of_series[series_key], timeout_s)

    def drop(self, series_key: str) -> None:
        """Remove the stage of a series; a job that has mapped it keeps what it has."""
        with self._changed:
            for number in self._waiting.pop(series_key, ()):
                self._forget(number)
        shutil.rmtree(self.folder(series_key), ignore_errors=True)
        # The process has its files open and may be about to write: it closes and removes them in its turn.
        self._request(series_key, None)

    def sweep(self, keep: Collection[str] = ()) -> int:
        """Remove the stages that a dead node left; before anything is added.

        Args:
            keep: Keys of the series whose stages may still serve.

        Returns:
            How many were removed.
        """
        kept = {self.folder(key) for key in keep}
        stale = [folder for folder in self._root.iterdir() if folder not in kept]
        for folder in stale:
            shutil.rmtree(folder, ignore_errors=True)
        return len(stale)

    def describe(self) -> dict[str, Any]:
        """For `mapnode status`: process, what waits, what was done."""
        with self._changed:
            child = self._child
            return {
                "pid": None if child is None else child.process.pid,
                "starts": self._starts,
                "pending": len(self._pending),
                "staged_slices": self._staged_slices,
            }

    def stop(self) -> None:
        """End the process; the stages stay."""
        with self._changed:
            self._stopped = True
            if self._child is not None:
                self._child.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _request(self, series_key: str, path: str | None) -> None:
        with self._changed:
            if path is not None and len(self._pending) >= MOST_PENDING:
                return
            number = self._next_id = self._next_id + 1
            request = Request(id=number, folder=str(self.folder(series_key)), path=path)
            self._pending[number] = _Pending(series_key, request)
            self._wait_in_turn(number)
            self._of_series[series_key] += 1
            self._changed.notify_all()

    def _wait_in_turn(self, number: int) -> None:
        series_key = self._pending[number].series_key
        self._waiting.setdefault(series_key, deque()).append(number)
        self._waiting.move_to_end(series_key)

    def _forget(self, number: int) -> None:
        self._sent.discard(number)
        pending = self._pending.pop(number, None)
        if pending is not None:
            self._of_series[pending.series_key] -= 1
            if not self._of_series[pending.series_key]:
                del self._of_series[pending.series_key]

    def _supervise(self) -> None:
        """Keep a process: the kernel ends it with the thread that started it, which is this one."""
        pause_s = FIRST_PAUSE_S
        while (child := self._start()) is not None:
            began = False
            for line in child.lines():
                began = self._answered(line) or began
            self._lost(child)
            if began:
                pause_s = FIRST_PAUSE_S
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _start(self) -> Child | None:
        with self._changed:
            if self._stopped:
                return None
            self._child = Child(self._command)
            self._starts += 1
            self._changed.notify_all()
            return self._child

    def _answered(self, line: str) -> bool:
        """Take an answer: whether it is one."""
        try:
            answer = Answer.model_validate_json(line)
        except ValidationError:
            return False
        with self._changed:
            if answer.done:
                self._staged_slices += answer.slices
                self._forget(answer.id)
                self._changed.notify_all()
            elif answer.id in self._pending:
                self._pending[answer.id].begun = True
        return True

    def _lost(self, child: Child) -> None:
        """Bury the process; what it had not begun goes to the next one."""
        with self._changed:
            self._child = None
            for number in [number for number, pending in self._pending.items() if pending.begun]:
                self._forget(number)
            self._waiting.clear()
            self._sent.clear()
            for number in self._pending:
                self._wait_in_turn(number)
            self._changed.notify_all()
        child.kill()
        code = child.end()
        if not self._stopped:
            _log.warning("the staging process ended with %s; starting it again", code)

    def _send(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or (self._child is not None and self._may_send()))
                if self._stopped:
                    return
                child, request = self._child, self._next()
            assert child is not None  # waited for
            # One that died meanwhile closes its pipe: `_lost` puts back what it was sent.
            with contextlib.suppress(OSError, ValueError):
                child.say(request.model_dump_json())

    def _may_send(self) -> bool:
        return bool(self._waiting) and len(self._sent) < MOST_SENT

    def _next(self) -> Request:
        """The oldest request of the series that was named last: what an older one lacks, its job decodes by then."""
        newest = next(reversed(self._waiting))
        number = self._waiting[newest].popleft()
        if not self._waiting[newest]:
            del self._waiting[newest]
        self._sent.add(number)
        return self._pending[number].request
