"""A process with a toy workflow, to be stopped, killed and woken up: python toy_worker.py VAR NAME [DATABASE].

What it does it appends to VAR/diary, a line each: NAME, what, job. In the middle of a job it waits for the file VAR/go.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from dbos import DBOS

from mapnode.database import open_database, place_of, prepare_jobs
from mapnode.jobs.lease import LeaseLost, require_lease
from mapnode.jobs.takeover import Presence

QUEUE = "toys"


def main() -> None:
    var, name, url = Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
    logging.basicConfig(level=logging.INFO, format=f"{name} %(message)s")

    def note(what: str) -> None:
        with (var / "diary").open("a") as diary:
            diary.write(f"{name} {what} {DBOS.workflow_id or '-'}\n")

    @DBOS.step(name="first")
    def first() -> None:
        note("first")

    @DBOS.step(name="middle")
    def middle() -> None:
        note("waits")
        while not (var / "go").exists():
            time.sleep(0.01)
        try:
            require_lease()
        except LeaseLost:
            note("lost")
            raise
        note("stores")

    @DBOS.step(name="last")
    def last() -> None:
        note("last")

    @DBOS.workflow(name="toy", max_recovery_attempts=2)
    def toy() -> str:
        first()
        middle()
        last()
        return name

    place = place_of(var, url)
    prepare_jobs(place)
    presence = Presence(open_database(place.records), "worker", [QUEUE], beat_s=0.1, silent_looks=8)
    presence.enter()
    DBOS(
        config={
            "name": "mapnode",
            "system_database_url": place.jobs_url,
            "application_version": "1",
            "executor_id": presence.executor_id,
            "console_log_level": "CRITICAL",
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=1, polling_interval_sec=0.02)
    presence.watch(1)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    note("ready")
    stop.wait()
    presence.drain()
    with contextlib.suppress(Exception):
        DBOS.destroy(workflow_completion_timeout_sec=0)
    presence.leave()
    note("left")
    os._exit(0)


main()
