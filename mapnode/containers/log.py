"""Log: what a container says: progress to whoever listens, and all of it, up to a limit, into the job's log.

Each stream is in its own order; what was said to both within a moment may come in either, for the engine reads two
pipes.
"""

from __future__ import annotations

import contextlib
import threading
from typing import IO, TYPE_CHECKING

from mapnode.runners.child import LOG_TAIL_LINES, forward

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from operators.core.contract import Progress

LOG_NAME = "log.txt"
MOST_BYTES = 1 << 20
"""Of a job's log; what follows is not kept, whoever floods it."""
LONGEST_LINE = 1 << 16


class ContainerLog:
    """Reads by a thread, so that the container never waits for its words to be heard.

    Attributes:
        tail: The last lines of stderr, or of stdout where there are none.
    """

    def __init__(
        self,
        pieces: Iterator[tuple[bytes | None, bytes | None]],
        path: Path,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        """Begin to read.

        Args:
            pieces: Of stdout and stderr.
            path: The job's log; one of an earlier try is replaced.
            on_progress: Hears of progress.
        """
        self._pieces = pieces
        self._path = path
        self._on_progress = on_progress
        self._said: list[str] = []
        self._complained: list[str] = []
        self._written = 0
        self._thread = threading.Thread(target=self._read, name="container log", daemon=True)
        self._thread.start()

    @property
    def tail(self) -> list[str]:
        """The last words, of stderr where it said anything."""
        return self._complained or self._said

    def join(self, timeout_s: float) -> None:
        """Wait until the last word is read; a connection that hangs is left to itself."""
        self._thread.join(timeout=timeout_s)

    def _read(self) -> None:
        said, complained = bytearray(), bytearray()
        # Unbuffered: a disk that was full for a moment must not raise again where the file is closed.
        with self._path.open("wb", buffering=0) as file:
            for out, err in self._pieces:
                self._keep(file, out or err or b"")
                self._lines(said, out or b"", self._hear)
                self._lines(complained, err or b"", lambda line: _remember(self._complained, line))
        self._lines(said, b"\n", self._hear)
        self._lines(complained, b"\n", lambda line: _remember(self._complained, line))

    def _keep(self, file: IO[bytes], piece: bytes) -> None:
        room = MOST_BYTES - self._written
        if room > 0:
            # Who is not heard to the end waits for ever with his pipe full: a disk that is full costs words alone.
            with contextlib.suppress(OSError):
                file.write(piece[:room])
                if len(piece) >= room:
                    file.write(b"\n(what follows is not kept)\n")
            self._written += len(piece)

    @staticmethod
    def _lines(left: bytearray, piece: bytes, take: Callable[[str], None]) -> None:
        """Whole lines; of one that does not end, its beginning."""
        left += piece
        *lines, rest = bytes(left).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        left[:] = rest
        for line in lines:
            if text := line[:LONGEST_LINE].decode("utf-8", errors="replace").rstrip():
                take(text)

    def _hear(self, line: str) -> None:
        _remember(self._said, line)
        forward(line, self._on_progress)


def _remember(lines: list[str], line: str) -> None:
    lines.append(line)
    del lines[:-LOG_TAIL_LINES]
