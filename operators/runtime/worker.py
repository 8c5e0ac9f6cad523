"""Worker: one app run again and again in one process, its imports and its model loaded once.

    python -m operators.runtime.worker APP_FOLDER [MODEL_FOLDER]

One JSON line on stdin is one run (`WorkOrder`), or names files that one will be about (`ReadAhead`); progress lines and
then one `Finished` line on stdout answer a run. What it leaves in its output folder is what the app leaves when it runs
alone: the contract is the same, and so are its exit codes: 2, without a result.json, where the output folder takes no
more. `Signal` lines cancel the present run, or ask whether anybody is there.
"""

from __future__ import annotations

import ctypes
import gc
import importlib.util
import os
import queue
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from operators.core.contract import ExitCode, Finished, ReadAhead, Signal, WorkOrder
from operators.core.manifest import MANIFEST_NAME, read_manifest
from operators.core.reading import forget_ahead, read_ahead
from operators.runtime.application import MapApplication, OutputNotWritable, RunContext, contract_channel, run
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from operators.core.manifest import Manifest

YOUNG_OBJECTS = 50_000
"""Python looks for circular garbage after so many new objects; at its default of 700 it does so some 50 times in a run
of a second, for nothing, and takes a tenth of the time of imports. What there is goes between two runs."""
APP_MODULE = "mapnode_app"
"""Name under which app.py is loaded: every app has a file of that name, so the file's own name will not do."""
Line: TypeAdapter[WorkOrder | ReadAhead | Signal] = TypeAdapter(WorkOrder | ReadAhead | Signal)


def load_application(app_file: Path) -> type[MapApplication]:
    """The one application class that an app.py defines.

    Raises:
        ImportError: If the file cannot be loaded or defines no application of its own.
    """
    spec = importlib.util.spec_from_file_location(APP_MODULE, app_file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{app_file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[APP_MODULE] = module
    spec.loader.exec_module(module)
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, MapApplication) and value.__module__ == APP_MODULE:
            return value
    raise ImportError(f"{app_file} defines no MapApplication")


def prepare_steps(model: Path | None) -> None:
    """Let every step that the app has imported do what it does once for all runs."""
    for step in _kinds_of(Step):
        step.prepare(model)


def _kinds_of(step: type[Step]) -> list[type[Step]]:
    """A step's class and all classes below it."""
    return [step, *(kind for below in step.__subclasses__() for kind in _kinds_of(below))]


def serve(app_folder: Path, model: Path | None) -> None:
    """Answer work orders until stdin ends, which ends the process."""
    gc.set_threshold(YOUNG_OBJECTS)
    with contract_channel() as send:
        manifest = read_manifest(app_folder / MANIFEST_NAME)
        # As for `python app.py`, which `mapnode run` and an image start: modules beside it are found before all others.
        sys.path.insert(0, str(app_folder.resolve()))
        application = load_application(app_folder / "app.py")
        prepare_steps(model)
        # What is there now stays: collecting garbage need not look at it again.
        gc.collect()
        gc.freeze()
        inbox = Inbox()
        threading.Thread(target=inbox.listen, daemon=True).start()
        send(Finished(exit_code=0))
        while True:
            line = inbox.lines.get()
            if isinstance(line, WorkOrder):
                _answer(line, manifest, application, send, inbox.cancelled.is_set)
                give_back_memory()
            elif isinstance(line, ReadAhead):
                read_ahead(map(Path, line.files))
            else:
                send(Finished(exit_code=0))


class Inbox:
    """What the node says.

    Attributes:
        lines: Orders, what to read ahead, and pings, in their order.
        cancelled: Set while the present run is not wanted any more.
    """

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[WorkOrder | ReadAhead | Signal] = queue.SimpleQueue()
        self.cancelled = threading.Event()

    def listen(self) -> None:
        """Take lines; when the node is gone, so is this process, in the middle of a run as well."""
        for text in sys.stdin:
            line = Line.validate_json(text)
            if isinstance(line, Signal) and line.signal == "cancel":
                self.cancelled.set()
                continue
            # The node says the next line when the run before has ended: what was cancelled was that.
            self.cancelled.clear()
            self.lines.put(line)
        os._exit(0)


def _answer(
    order: WorkOrder,
    manifest: Manifest,
    application: type[MapApplication],
    send: Callable[[BaseModel], None],
    cancelled: Callable[[], bool],
) -> None:
    context = RunContext(Path(order.source), Path(order.target), _optional(order.model), manifest, order.job)
    try:
        code = run(application, context, send, cancelled).exit_code
    except OutputNotWritable as error:
        print(f"wrong use: {error}", file=sys.stderr)  # noqa: T201 - the contract's channel for reasons
        code = ExitCode.WRONG_USE
    forget_ahead()
    send(Finished(exit_code=code))


def give_back_memory() -> None:
    """Collect what the SDK's graphs leave in circles, and return free pages to the system, between two runs."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _optional(path: str | None) -> Path | None:
    return None if path is None else Path(path)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), _optional(sys.argv[2] if len(sys.argv) > 2 else None))
