"""Ledger: what there is to know of jobs, from the database alone; the node that wrote it is dead."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.errors import WrongUse
from mapnode.jobs.ledger import Ledger

ROOT = Path(__file__).parents[3]
DONE, REFUSED, FAILED, RUNNING, QUEUED = "a1done", "a2refused", "b1failed", "c1running", "d1queued"
NODE = """
import os, sys, threading, time
from pathlib import Path

from mapnode.jobs import work
from mapnode.jobs.spec import JobSpec
from mapnode.jobs.ledger import Ledger
from mapnode.jobs.work import Workplace
from mapnode.jobs.workflow import JobQueue
from operators.core.contract import Reason, Result, Status

var = Path(sys.argv[1])
entered = threading.Event()


def run(place, job, spec, staged):
    if "running" in job:
        entered.set()
        time.sleep(60)
    status = Status(job[2:])
    reasons = () if status is Status.DONE else (Reason(code="c", message=f"because {job}"),)
    return Result(app="toy", version="1", status=status, reasons=reasons).model_dump(mode="json", by_alias=True)


work.stage = lambda place, job, spec: {"instances": [], "linked": 0, "clock": "2025-01-02T10:15:30"}
work.run = run
work.check = lambda *_: []
work.store = lambda *_: [{"path": "seg.dcm", "orthanc_id": "o", "status": "Success"}]
queue = JobQueue(Workplace(None, var, var, None, 1.0), workers=1)
queue.launch()
ledger = Ledger(var)
for number, job in enumerate(sys.argv[2:]):
    spec = JobSpec(rule="trunk", app="toy", app_version="1", parameters={}, series_id="s",
                   study_instance_uid="1.2", series_instance_uid=f"1.2.{number}")
    queue.add(job, spec, "routine")
    while "running" not in job and "queued" not in job and ledger.show(job)["state"] in {"queued", "running"}:
        time.sleep(0.02)
    if "running" in job:
        assert entered.wait(30)
os._exit(0)  # as a node that is killed
"""


@pytest.fixture(scope="module")
def dead_node(tmp_path_factory):
    """The folder of a node that was killed with a job in every state."""
    folder = tmp_path_factory.mktemp("ledger")
    (folder / "var").mkdir()
    (folder / "node.py").write_text(NODE)
    done = subprocess.run(
        [sys.executable, folder / "node.py", folder / "var", DONE, REFUSED, FAILED, RUNNING, QUEUED],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "var"


@pytest.fixture
def ledger(dead_node, tmp_path):
    """A ledger over a copy of its own."""
    ledger = Ledger(Path(shutil.copytree(dead_node, tmp_path / "var")))
    yield ledger
    ledger.close()


def test_a_folder_without_a_node_is_wrong_use(tmp_path):
    with pytest.raises(WrongUse, match=r"there is no node in .*mapnode up"):
        Ledger(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_a_node_that_was_killed_before_its_first_job_has_none(tmp_path):
    (tmp_path / "jobs.sqlite").touch()
    ledger = Ledger(tmp_path)

    jobs = ledger.list()
    ledger.close()

    assert jobs == []


def test_jobs_are_listed_the_newest_first(ledger):
    jobs = ledger.list()

    assert [job["id"] for job in jobs] == [QUEUED, RUNNING, FAILED, REFUSED, DONE]
    assert sorted((job["created_at"] for job in jobs), reverse=True) == [job["created_at"] for job in jobs]


def test_every_job_is_in_its_state_and_counted(ledger):
    states = {job["id"]: job["state"] for job in ledger.list()}

    assert states == {DONE: "done", REFUSED: "refused", FAILED: "failed", RUNNING: "running", QUEUED: "queued"}
    assert ledger.counts() == dict.fromkeys(states.values(), 1)


def test_the_beginning_of_an_identifier_is_enough(ledger):
    assert [ledger.show(prefix)["id"] for prefix in (DONE, "a1", "b")] == [DONE, DONE, FAILED]


@pytest.mark.parametrize("call", ["show", "retry", "cancel"])
@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("f", "no job begins with 'f'"),
        ("done", "no job begins with 'done'"),
        ("%done", "no job begins"),
        ("b_", "no job begins"),
        ("a", "more than one job begins with 'a'"),
        ("", "more than one job begins with ''"),
    ],
)
def test_an_unknown_and_an_ambiguous_beginning_are_wrong_use(ledger, call, prefix, words):
    with pytest.raises(WrongUse, match=words):
        getattr(ledger, call)(prefix)


def test_a_job_says_what_it_is_about_and_what_was_stored(ledger):
    job = ledger.show(DONE)

    about = {key: job[key] for key in ("app", "rule", "study_instance_uid", "series_instance_uid", "reason")}
    assert about == {
        "app": "toy",
        "rule": "trunk",
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.0",
        "reason": "",
    }
    assert job["stored"] == [{"path": "seg.dcm", "orthanc_id": "o", "status": "Success"}]


def test_steps_stand_in_order_with_their_times(ledger):
    job = ledger.show(DONE)

    assert [(step["name"], step["state"]) for step in job["steps"]] == [
        ("stage", "done"),
        ("run", "done"),
        ("check", "done"),
        ("store", "done"),
    ]
    begun = [step["started_at"] for step in job["steps"]]
    assert begun == sorted(begun)
    assert 0 <= begun[0] - job["created_at"] < 60
    assert all(0 <= step["seconds"] < 60 for step in job["steps"])


@pytest.mark.parametrize("job", [REFUSED, FAILED])
def test_a_job_that_did_not_end_well_says_why(ledger, job):
    assert f"because {job}" in ledger.show(job)["reason"]


@pytest.mark.parametrize("job", [RUNNING, QUEUED])
def test_a_job_under_way_has_no_reason_and_stored_nothing(ledger, job):
    found = ledger.show(job)

    assert (found["reason"], found["stored"]) == ("", [])


def test_a_failed_job_is_retried(ledger):
    assert ledger.retry("b1")["state"] == "queued"
    assert ledger.show(FAILED)["reason"] == ""


@pytest.mark.parametrize("job", [DONE, REFUSED, RUNNING, QUEUED])
def test_a_job_that_has_not_failed_is_not_retried(ledger, job):
    before = ledger.show(job)

    with pytest.raises(WrongUse, match=f"job {job} is {before['state']}: only failed and cancelled"):
        ledger.retry(job)

    assert ledger.show(job) == before


@pytest.mark.parametrize("job", [QUEUED, RUNNING])
def test_a_job_under_way_is_cancelled_and_may_be_retried(ledger, job):
    cancelled = ledger.cancel(job)
    again = ledger.retry(job)

    assert (cancelled["state"], again["state"]) == ("cancelled", "queued")


@pytest.mark.parametrize("job", [DONE, REFUSED, FAILED])
def test_a_job_that_has_ended_is_not_cancelled(ledger, job):
    before = ledger.show(job)

    with pytest.raises(WrongUse, match=f"job {job} is {before['state']}: it cannot be cancelled"):
        ledger.cancel(job)

    assert ledger.show(job) == before
