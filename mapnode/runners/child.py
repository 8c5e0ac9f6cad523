"""Child: how a process of an app is started, listened to and believed."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import uuid
from typing import IO, TYPE_CHECKING

from pydantic import ValidationError

from mapnode.runners.strays import MARK, end_strays
from mapnode.share import import_root
from operators.core.contract import RESULT_NAME, Progress, Reason, Result, Status
from operators.core.errors import without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

WITH_STACK = ("/bin/sh", "-c", 'ulimit -s 32768 2>/dev/null; exec "$@"', "mapnode")
"""Holoscan warns below a stack of 32 MB; a shell sets it, since a node with threads must not run code after a fork."""
WITH_THE_NODE = ("setpriv", "--pdeathsig", "KILL") if shutil.which("setpriv") else ()
"""The kernel ends the child with the thread that started it, however that ends."""
LOG_TAIL_LINES = 40
LAST_WORDS_S = 5.0
"""What a process said is read within this after its end."""


class Child:
    """A child process with text pipes, in a process group of its own, whose stderr is read so that it never blocks.

    Attributes:
        process: The process; its stdout carries the contract's lines.
        log: The last lines of its stderr.
    """

    def __init__(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Start it.

        Args:
            command: Program and arguments.
            environment: Variables besides the node's own.
        """
        self.log: list[str] = []
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and an app of the catalogue
            [*WITH_STACK, *command],
            env={
                **os.environ,
                "PYTHONPATH": str(import_root()),
                "PYTHONHASHSEED": "0",
                MARK: self._mark,
                **(environment or {}),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers: dict[IO[str] | None, threading.Thread] = {}
        self._ending = threading.Lock()
        self._read(self.process.stderr, self._keep_tail)

    def lines(self) -> Iterable[str]:
        """Lines of stdout until it ends."""
        assert self.process.stdout is not None
        return self.process.stdout

    def read_ahead(self) -> None:
        """Read stdout by a thread, for `next_line`; instead of `lines`."""
        self._read(self.process.stdout, self._queue_lines)

    def next_line(self, timeout_s: float) -> str:
        """The next line of stdout; empty where it ended.

        Raises:
            TimeoutError: If there is none within the time.
        """
        try:
            return self._lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise TimeoutError from None

    def say(self, line: str) -> None:
        """One line on stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def is_running(self) -> bool:
        """Whether it has not ended; it is not reaped, so that its number is nobody else's before `end`."""
        return self.process.returncode is None and not self._wait(os.WNOHANG)

    def end(self) -> int:
        """Close stdin, wait for the end, end what it left behind: the exit code, negative for a signal."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with self._ending:
            if self.process.returncode is None:
                self._wait(0)
                self.kill()
                end_strays(self._mark)
            code = self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if (reader := self._readers.get(stream)) is not None:
                # What is left all the same holds the pipe open for as long as it lives.
                reader.join(timeout=LAST_WORDS_S)
            elif stream is not None:
                stream.close()
        return code

    def kill(self) -> None:
        """End it now, with every process that it started."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _wait(self, options: int) -> bool:
        """Whether it ended, without reaping it."""
        try:
            return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | options) is not None
        except ChildProcessError:
            return True  # another thread reaped it

    def _read(self, stream: IO[str] | None, target: Callable[[], None]) -> None:
        """Have a thread read a stream to its end, and close it then."""
        assert stream is not None

        def read() -> None:
            with stream:
                target()

        self._readers[stream] = thread = threading.Thread(target=read, daemon=True)
        thread.start()

    def _queue_lines(self) -> None:
        for line in self.lines():
            self._lines.put(line)
        self._lines.put("")

    def _keep_tail(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.strip():
                self.log.append(line.rstrip())
                del self.log[:-LOG_TAIL_LINES]


def forward(line: str, on_progress: Callable[[Progress], None] | None) -> None:
    """Pass a progress line on; what is none is an app's own print, which the contract does not know."""
    if on_progress is None:
        return
    with contextlib.suppress(ValidationError):
        on_progress(Progress.model_validate_json(line))


def read_result(app: str, version: str, folder: Path, code: int, log: list[str]) -> Result:
    """result.json of a run; a failed result in its place where there is none or it contradicts the exit code."""
    try:
        result = Result.model_validate_json((folder / RESULT_NAME).read_bytes())
    except (OSError, ValidationError):
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return failed(app, version, f"{app} {how} and left no valid {RESULT_NAME}", log)
    if result.exit_code != code:
        return failed(app, version, f"{app} ended with {code}, but says {result.status}", log)
    return result


def failed(app: str, version: str, message: str, log: list[str]) -> Result:
    """The result of a run that has none of its own."""
    tail = f"; last words: {without_values(log[-1])}" if log else ""
    return Result(
        app=app,
        version=version,
        status=Status.FAILED,
        reasons=(Reason(code="process_failed", message=message + tail),),
    )
