"""Staging process: decodes instances as the node names them, at the lowest priority that the machine has.

    python -m mapnode.staging.process

Files are decoded by as many threads as there are cores and written in the order in which they were named, so that a
series that arrives in order lies in its stage in order. The process ends with its stdin.
"""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import shutil
import sys
import threading
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.staging.messages import Answer, Request
from operators.core.header import keep_values_out_of_warnings
from operators.core.kinds import Kind
from operators.core.reading import open_instance
from operators.core.staging import StageWriter, decode_slices

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from operators.core.frames import Frame
    from operators.core.pixels import KnownSlice

    Slices = Iterable[tuple[Frame, KnownSlice]]

LARGEST_MEMORY_BYTES = 4 * 2**30
"""Of addresses: a file that asks for more gets a MemoryError, and the next its turn."""
OPEN_STAGES = 16
"""Series that arrive at the same time; another one closes the stage that was written longest ago."""
AHEAD_PER_THREAD = 2
"""Decoded instances that wait to be written."""
LOWEST_NICENESS = 19
AUTOGROUP = Path("/proc/self/autogroup")
"""The niceness of this session, where the kernel shares its cores among sessions first (sched(7), autogroup)."""


def yield_to_others() -> None:
    """Run only where a core has nothing else to do; where the kernel has no such class, as nicely as can be."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        os.nice(LOWEST_NICENESS)
    # Class and niceness count within a session alone, and this process has one of its own (`Child`): as one like any
    # other it would take half of the machine from a job.
    with contextlib.suppress(OSError):
        AUTOGROUP.write_text(str(LOWEST_NICENESS), encoding="ascii")


class Staging:
    """Requests on their way from decoding to their stage."""

    def __init__(self, say: Callable[[Answer], None]) -> None:
        """Start the threads.

        Args:
            say: Takes the answers, from any thread.
        """
        threads = len(os.sched_getaffinity(0))
        self._say = say
        self._pool = ThreadPoolExecutor(threads)
        self._room = threading.Semaphore(AHEAD_PER_THREAD * threads)
        self._decoded: queue.Queue[tuple[Request, Future[Slices]]] = queue.Queue()
        self._writers: OrderedDict[str, StageWriter] = OrderedDict()
        threading.Thread(target=self._write, daemon=True).start()

    def take(self, request: Request) -> None:
        """Take a request, once there is room for what it decodes to."""
        self._room.acquire()
        self._decoded.put((request, self._pool.submit(self._decode, request)))

    def _decode(self, request: Request) -> Slices:
        self._say(Answer(id=request.id, done=False))
        if request.path is None:
            return ()
        instance = open_instance(Path(request.path))
        slices = decode_slices(instance)
        # An instance of many frames is decoded as it is written: as a whole it would fill the memory.
        return slices if instance.kind is Kind.FRAMES else list(slices)

    def _write(self) -> None:
        while True:
            request, decoded = self._decoded.get()
            try:
                slices = self._finish(request, decoded.result())
            except Exception:  # noqa: BLE001 - whatever a file does, the next one has its turn
                slices = 0
            self._say(Answer(id=request.id, done=True, slices=slices))
            self._room.release()

    def _finish(self, request: Request, slices: Slices) -> int:
        if request.path is None:
            if (writer := self._writers.pop(request.folder, None)) is not None:
                writer.close()
            shutil.rmtree(request.folder, ignore_errors=True)
            return 0
        return self._writer(request.folder).put(slices)

    def _writer(self, folder: str) -> StageWriter:
        writer = self._writers.pop(folder, None) or StageWriter(Path(folder))
        self._writers[folder] = writer
        if len(self._writers) > OPEN_STAGES:
            self._writers.popitem(last=False)[1].close()
        return writer


def serve() -> None:
    """Stage until stdin ends; what is under way then is left."""
    keep_values_out_of_warnings()
    resource.setrlimit(resource.RLIMIT_AS, (LARGEST_MEMORY_BYTES, LARGEST_MEMORY_BYTES))
    yield_to_others()
    lock = threading.Lock()

    def say(answer: Answer) -> None:
        with lock:
            sys.stdout.write(answer.model_dump_json() + "\n")
            sys.stdout.flush()

    staging = Staging(say)
    for line in sys.stdin:
        staging.take(Request.model_validate_json(line))
    os._exit(0)


if __name__ == "__main__":
    serve()
