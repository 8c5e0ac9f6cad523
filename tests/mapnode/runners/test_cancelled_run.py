"""A run that is cancelled ends soon, and its worker goes on, or is killed."""

import threading
import time

import pytest

from mapnode.runners import worker as worker_module
from mapnode.runners.worker import RunCancelled, WorkerState
from operators.core.contract import Job
from tests.mapnode.runners.toy import ENOUGH_S


def test_cancelled_run_ends_and_its_process_goes_on(toy, folders, monkeypatch):
    monkeypatch.setattr(worker_module, "CANCEL_GRACE_S", ENOUGH_S)
    worker = toy(
        "if runs == 1:\n    say(operator='Load', fraction=0.1)\n    sys.stdin.readline(); finish(1)\n"
        "else:\n    result(timings_s={'runs': runs}); finish()"
    )
    cancelled = threading.Event()

    with pytest.raises(RunCancelled, match="was cancelled"):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=lambda _: cancelled.set(), cancelled=cancelled)
    pid = worker.pid
    result = worker.run(*folders, Job(), timeout_s=ENOUGH_S, cancelled=lambda: False)

    assert result.timings_s == {"runs": 2}
    assert worker.pid == pid


def test_cancelled_run_that_does_not_look_up_is_killed_after_its_grace(toy, folders, monkeypatch):
    monkeypatch.setattr(worker_module, "CANCEL_GRACE_S", 0.2)
    worker = toy("say(operator='Load', fraction=0.1); time.sleep(60)")
    seen = []
    started = time.monotonic()

    with pytest.raises(RunCancelled):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=seen.append, cancelled=lambda: bool(seen))

    assert (worker.pid, worker.state) == (None, WorkerState.STOPPED)
    assert time.monotonic() - started < 50


def test_run_that_is_done_before_it_hears_of_its_end_is_cancelled_all_the_same(toy, folders):
    worker = toy("say(operator='Load', fraction=0.1); result(); finish()")
    seen = []

    with pytest.raises(RunCancelled):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=seen.append, cancelled=lambda: bool(seen))


def test_run_that_dies_while_it_is_cancelled_is_cancelled_not_lost(toy, folders):
    worker = toy("say(operator='Load', fraction=0.1); sys.stdin.readline(); sys.exit(5)")
    seen = []

    with pytest.raises(RunCancelled):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, on_progress=seen.append, cancelled=lambda: bool(seen))

    assert worker.pid is None


def test_run_that_is_cancelled_beforehand_starts_nothing(toy, folders):
    worker = toy()
    cancelled = threading.Event()
    cancelled.set()

    with pytest.raises(RunCancelled, match="before it began"):
        worker.run(*folders, Job(), timeout_s=ENOUGH_S, cancelled=cancelled)

    assert worker.pid is None
