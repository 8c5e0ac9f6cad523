"""Clock set back: by almost an hour, under the node's process, while studies arrive, are computed and go out."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from mapnode.records import JobState, Records
from tests.faults.account import Account, wait_for_account
from tests.faults.sending import Senders
from tests.faults.studies import draw_kinds, make_studies
from tests.node_under_test import NodeUnderTest, wait_for

FAKED_CLOCK = Path(__file__).parent / "faked_clock"
BACK_S = 3540
"""Almost an hour, with which a time that is still to come is far ahead, and not absurd."""
LONGEST_S = 240.0
"""Far less than what the clock was set back by."""
PAUSE_S = 30.0
"""Before another try of the job that is put off."""


def run(folder: Path, *, seed: int, studies: int) -> Account:
    """Set the clock back once a job runs, another is put off, and others arrive.

    Args:
        folder: Where everything lies.
        seed: Of the studies.
        studies: Their number.

    Returns:
        The account; that the node took long is a problem, too.
    """
    made = make_studies(folder / "studies", seed, draw_kinds(seed, studies))
    clock = _Clock(folder / "clock")
    node = NodeUnderTest(folder / "node", publish_quiet_s=3.0, environment=clock.environment)
    node.start()
    senders = Senders(node, made)
    try:
        node.wait_until_warm()
        node.command("pause")
        senders.start()
        wait_for(lambda: len(node.jobs()) > 1, 120, "jobs that wait")
        _put_off(node)
        node.command("resume")
        wait_for(lambda: any(job["state"] == "running" for job in node.jobs()), 60, "a job to run")
        clock.set_back()
        started = time.monotonic()
        senders.join()
        account = wait_for_account(node, made)
        took_s = time.monotonic() - started
    finally:
        node.stop()
    times = [line["at"] for job in node.jobs() for line in job["history"]]
    jumps = [later - earlier for earlier, later in itertools.pairwise(times)]
    print(f"the clock went back by {-min(jumps):.0f} s; all was done after {took_s:.0f} s", flush=True)
    if min(jumps) > -BACK_S / 2:
        account.problems.append("the clock was not set back")
    if took_s > LONGEST_S:
        account.problems.append(f"it took {took_s:.0f} s")
    return account


class _Clock:
    """The clock of the process that has its environment; its children have the true one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._set(0)
        self.environment = {"PYTHONPATH": f"{FAKED_CLOCK}{os.pathsep}{Path.cwd()}", "FAKED_CLOCK": str(file)}

    def set_back(self) -> None:
        self._set(-BACK_S)

    def _set(self, offset_s: int) -> None:
        draft = self._file.with_suffix(".draft")
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(str(offset_s))
        draft.replace(self._file)


def _put_off(node: NodeUnderTest) -> None:
    """Put off the newest job, as after a try that failed."""
    records = Records(node.place.records)
    job = records.jobs.newest(1)[0]
    records.jobs.move(job.id, JobState.QUEUED, "tried again later", not_before=time.time() + PAUSE_S)
    records.close()
