"""Worker: a process of its own that runs jobs of a node's queues, on the node's machine or on another one.

It needs the database, Orthanc's REST and the node's folder `jobs`, in which results wait for their publication: on
another machine that is a shared folder. Instances are linked from Orthanc's storage area, or fetched where it is far.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import threading
from typing import TYPE_CHECKING

from mapnode.containers.images import Images
from mapnode.containers.runner import SWEEP_S, Containers
from mapnode.errors import WrongUse
from mapnode.intake.source import SourceReader
from mapnode.jobs.lease import require_lease
from mapnode.jobs.takeover import WORKER, Presence
from mapnode.jobs.work import Workplace
from mapnode.jobs.workflow import QUEUE, JobRunner
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.records import Records
from mapnode.runners.warm import WarmWorkers
from operators.core.header import keep_values_out_of_warnings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mapnode.settings import Settings

QUEUES = (QUEUE,)
PATIENCE_S = 20
"""Jobs that are under way when the worker is told to stop may end within this; others take the rest."""

_log = logging.getLogger(__name__)


class Worker:
    """A running worker. Everything that it starts it stops."""

    def __init__(self, settings: Settings, queues: Sequence[str], orthanc_url: str, credentials: Path) -> None:
        """Check what can be checked before anything starts.

        Args:
            settings: The node's settings.
            queues: Names of the queues whose jobs it takes.
            orthanc_url: Orthanc's REST.
            credentials: File with `user` and `password` for it.

        Raises:
            WrongUse: If there is no such queue, or the credentials cannot be read.
        """
        unknown = sorted(set(queues) - set(QUEUES))
        if unknown or not queues:
            raise WrongUse(f"there is no queue {', '.join(unknown) or 'named'}; there are: {', '.join(QUEUES)}")
        self._settings = settings
        self._queues = queues
        self._orthanc_url = orthanc_url
        self._user, self._password = _read_credentials(credentials)
        self._stop = threading.Event()

    def run(self, on_ready: Callable[[str], None]) -> None:
        """Run until SIGINT or SIGTERM; then take no more jobs, end those under way, and hand back what does not end.

        Args:
            on_ready: Called once when jobs can be taken, with the worker's name.
        """
        keep_values_out_of_warnings()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: self._stop.set())
        folder = self._settings.var.resolve()
        with contextlib.ExitStack() as stack:
            records = Records(self._settings.place.records)
            stack.callback(records.close)
            client = stack.enter_context(OrthancClient(self._orthanc_url, self._user, self._password))
            limit_mb = self._settings.memory_mb
            workers = WarmWorkers(
                memory_bytes=None if limit_mb is None else int(limit_mb * 1e6), runs=self._settings.workers
            )
            stack.callback(workers.stop)
            presence = Presence(records.engine, WORKER, self._queues)
            images = Images(self._settings.images, self._settings.container_socket)
            containers = Containers(images, folder, presence.executor_id, self._settings.min_free_mb)
            stack.callback(containers.stop)
            place = Workplace(
                SourceReader(client, folder / "orthanc" / "storage", records.rejections.among),
                records,
                folder,
                workers,
                self._settings.job_timeout_s,
                self._settings.timeouts_s,
                self._settings.models,
                containers,
                require_lease=require_lease,
                is_node=False,
            )
            runner = JobRunner(place, self._settings.place, presence)
            runner.launch(self._settings.workers, self._queues)
            stack.callback(runner.stop, patience_s=PATIENCE_S)
            containers.tidy(presence.roll.living)
            on_ready(presence.executor_id)
            while not self._stop.wait(SWEEP_S):
                containers.tidy(presence.roll.living)
            _log.info("stopping; jobs under way may end within %d s", PATIENCE_S)


def _read_credentials(path: Path) -> tuple[str, str]:
    """User and password.

    Raises:
        WrongUse: If the file cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return str(document["user"]), str(document["password"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise WrongUse(
            f"{path}: no credentials (a JSON object with user and password, which `mapnode up` writes): {why}"
        ) from error
