"""Worker: one app run again and again in one process, its imports and its model loaded once.

    python -m operators.runtime.worker APP_FOLDER

One JSON line on stdin is one run (`WorkOrder`); progress lines and then one `Finished` line on stdout answer it. What
a run leaves in its output folder is what the app leaves when it runs alone: the contract is the same.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from operators.core.contract import Finished, WorkOrder
from operators.core.manifest import MANIFEST_NAME, read_manifest
from operators.runtime.application import MapApplication, RunContext, contract_channel, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from operators.core.manifest import Manifest

APP_MODULE = "mapnode_app"
"""Name under which app.py is loaded: every app has a file of that name, so the file's own name will not do."""


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


def serve(app_folder: Path) -> None:
    """Answer work orders until stdin ends, which ends the process."""
    with contract_channel() as send:
        manifest = read_manifest(app_folder / MANIFEST_NAME)
        application = load_application(app_folder / "app.py")
        orders: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_listen, args=(orders,), daemon=True).start()
        send(Finished(exit_code=0))
        while True:
            _answer(orders.get(), manifest, application, send)


def _listen(orders: queue.Queue[str]) -> None:
    """Take orders; when the node is gone, so is this process, in the middle of a run as well."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _answer(
    line: str, manifest: Manifest, application: type[MapApplication], send: Callable[[BaseModel], None]
) -> None:
    order = WorkOrder.model_validate_json(line)
    context = RunContext(Path(order.source), Path(order.target), _optional(order.model), manifest, order.job)
    send(Finished(exit_code=run(application, context, send).exit_code))


def _optional(path: str | None) -> Path | None:
    return None if path is None else Path(path)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
