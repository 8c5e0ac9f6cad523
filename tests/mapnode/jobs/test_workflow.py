"""Workflow: jobs end as their app says, are tried again where that helps, and are kept from storing where told.

DBOS is one a process, so one process of its own lives through everything here; the tests read what it saw.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import make_ct_series

ROOT = Path(__file__).parents[3]
STORY = """
import json, os, sys, threading, time
from pathlib import Path
from types import SimpleNamespace

from pydicom import dcmread

from mapnode.jobs.ledger import Ledger
from mapnode.jobs.spec import JobSpec
from mapnode.jobs.work import Workplace
from mapnode.jobs.workflow import JobQueue
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.orthanc_client import StoreOutcome, StoreStatus
from mapnode.runners.warm import WorkerLost
from operators.core.contract import Output, Reason, Result, Status

var, source = Path(sys.argv[1]), Path(sys.argv[2])
var.mkdir()
files = sorted(source.iterdir())
calls, stored, silences = [], [], {"unreachable": 2}
entered, go_on = threading.Event(), threading.Event()


class Orthanc:
    def series_instances(self, series_id):
        if silences.get(series_id, 0):
            silences[series_id] -= 1
            raise OrthancUnreachable("http://127.0.0.1", "ConnectError")
        return [SimpleNamespace(id=str(f), sop_instance_uid=str(dcmread(f).SOPInstanceUID)) for f in files]

    def attachment(self, instance_id):
        return SimpleNamespace(path=lambda storage: Path(instance_id))

    def attachment_path(self, instance_id, storage):
        return Path(instance_id)

    def instance_file(self, instance_id):
        return Path(instance_id).read_bytes()

    def lookup(self, uid):
        return []

    def store(self, content):
        stored.append(content)
        return StoreOutcome(id=f"stored-{len(stored)}", status=StoreStatus.SUCCESS)


def said(status, *reasons, **more):
    reasons = tuple(Reason(code=code, message=message) for code, message in reasons)
    return Result(app="toy", version="1", status=status, reasons=reasons, **more)


def with_object(target, **changed):
    # A file of the source under a UID of its own stands for a result.
    dataset = dcmread(files[0])
    dataset.SOPInstanceUID = f"1.2.{len(calls)}"
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    dataset.save_as(target / "seg.dcm")
    return said(Status.DONE, outputs=(Output(path="seg.dcm", sop_instance_uid=dataset.SOPInstanceUID),))


class Worker:
    # What it does is in the name of the job.
    def run(self, source, target, job, *, timeout_s):
        name = target.parent.name
        calls.append(name)
        times = calls.count(name)
        if name in {"blocks", "cancelled_running"}:
            entered.set()
            go_on.wait(30)
            return with_object(target)
        if name.startswith("lost_"):
            if times <= int(name[-1]):
                raise WorkerLost("the worker of toy ended by signal 9")
            return said(Status.DONE)
        if name == "fails" or (name == "fails_once" and times == 1):
            return said(Status.FAILED, ("operator_failed", "no luck today"))
        if name == "refused":
            return said(Status.REFUSED, ("missing_slices", "3 slices are missing"))
        if name == "not_applicable":
            return said(Status.NOT_APPLICABLE, ("criteria_not_met", "it is a head"))
        if name == "stranger":
            return with_object(target, PatientID="SOMEBODY")
        if name == "breaks":
            raise RuntimeError("a defect of ours")
        return with_object(target)


place = Workplace(Orthanc(), source, var, SimpleNamespace(of=lambda app: Worker()), timeout_s=30.0)
queue = JobQueue(place, workers=1)
queue.launch()
ledger = Ledger(var)
seen = {}


def add(name, priority="routine"):
    spec = JobSpec(rule="r", app="ct_body_composition", app_version="1", parameters={}, series_id=name,
                   study_instance_uid="1.2", series_instance_uid="1.2.3")
    return queue.add(name, spec, priority)


def wait(*names):
    deadline = time.monotonic() + 60
    while True:
        jobs = {job["id"]: job for job in ledger.list()}
        if all(jobs[name]["state"] not in {"queued", "running"} for name in names):
            seen.update({name: jobs[name] for name in names})
            return
        assert time.monotonic() < deadline, jobs
        time.sleep(0.02)


def block(name):
    entered.clear()
    go_on.clear()
    add(name)
    assert entered.wait(30)


first = ["done", "refused", "not_applicable", "stranger", "breaks", "fails", "fails_once", "lost_2", "lost_3",
         "unreachable"]
said_new = {name: add(name) for name in first}
said_again = add("done")
wait(*first)
said_after_its_end = add("done")

seen["before_retry"] = seen.pop("fails_once")
seen["after_retry_call"] = ledger.retry("fails_once")
wait("fails_once")

block("blocks")
for name, priority in [("research", "research"), ("routine", "routine"), ("stat", "stat"), ("cancelled", "routine")]:
    add(name, priority)
seen["while_blocked"] = ledger.counts()
seen["cancel_call"] = ledger.cancel("cancelled")
go_on.set()
wait("blocks", "research", "routine", "stat", "cancelled")
ran_while_cancelled = "cancelled" in calls
ledger.retry("cancelled")
wait("cancelled")

block("cancelled_running")
before = len(stored)
ledger.cancel("cancelled_running")
go_on.set()
add("last")
wait("cancelled_running", "last")

print(json.dumps({
    "jobs": seen, "calls": calls, "new": said_new, "again": said_again, "after": said_after_its_end,
    "ran_while_cancelled": ran_while_cancelled, "stored_after_cancel": len(stored) - before,
    "files": sorted(str(path.relative_to(var)) for path in var.rglob("*") if path.is_file()),
}))
sys.stdout.flush()
ledger.close()
queue.stop()
"""


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    folder = tmp_path_factory.mktemp("queue")
    make_ct_series(folder / "source", slices=2)
    (folder / "story.py").write_text(STORY)
    done = subprocess.run(
        [sys.executable, folder / "story.py", folder / "var", folder / "source"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def jobs(story):
    return story["jobs"]


def steps(job) -> list[tuple[str, str]]:
    return [(step["name"], step["state"]) for step in job["steps"]]


def test_a_job_that_succeeds_is_done_in_four_steps_and_names_what_was_stored(jobs):
    job = jobs["done"]

    assert (job["state"], job["reason"]) == ("done", "")
    assert steps(job) == [("stage", "done"), ("run", "done"), ("check", "done"), ("store", "done")]
    assert [(one["path"], one["status"]) for one in job["stored"]] == [("seg.dcm", "Success")]


def test_the_input_of_a_job_that_ended_is_gone_and_its_results_stay(story):
    kept = [name for name in story["files"] if name.startswith("jobs/done/")]

    assert kept == ["jobs/done/output/seg.dcm"]


@pytest.mark.parametrize(
    ("name", "words"), [("refused", "missing_slices: 3 slices are missing"), ("not_applicable", "it is a head")]
)
def test_a_job_that_its_app_turns_down_says_why_and_stores_nothing(jobs, name, words):
    job = jobs[name]

    assert job["state"] == name
    assert words in job["reason"]
    assert (steps(job), job["stored"]) == ([("stage", "done"), ("run", "done")], [])


def test_a_job_whose_app_fails_is_failed_with_its_reason_and_ran_once(story):
    job = story["jobs"]["fails"]

    assert job["state"] == "failed"
    assert "operator_failed: no luck today" in job["reason"]
    assert story["calls"].count("fails") == 1


def test_a_defect_of_ours_fails_the_job_and_is_not_tried_again(story):
    job = story["jobs"]["breaks"]

    assert (job["state"], job["steps"][-1]["state"]) == ("failed", "failed")
    assert "a defect of ours" in job["reason"]
    assert story["calls"].count("breaks") == 1


def test_a_result_of_another_patient_goes_to_quarantine(story):
    job = story["jobs"]["stranger"]

    assert (job["state"], job["stored"]) == ("quarantined", [])
    assert "PatientID is not the source's" in job["reason"]
    assert [name for name, _ in steps(job)] == ["stage", "run", "check", "quarantine"]
    assert {"quarantine/stranger/seg.dcm", "quarantine/stranger/reasons.json"} <= set(story["files"])


def test_retrying_a_failed_job_runs_it_again_and_it_can_end_done(story):
    before, called, after = (story["jobs"][name] for name in ("before_retry", "after_retry_call", "fails_once"))

    assert (before["state"], after["state"], after["reason"]) == ("failed", "done", "")
    assert called["state"] in {"queued", "running", "done"}
    assert story["calls"].count("fails_once") == 2
    assert [name for name, _ in steps(after)] == ["stage", "run", "check", "store"]


def test_a_worker_lost_twice_is_tried_again_and_the_job_is_done(story):
    assert story["jobs"]["lost_2"]["state"] == "done"
    assert story["calls"].count("lost_2") == 3


def test_a_worker_lost_three_times_fails_the_job(story):
    assert story["jobs"]["lost_3"]["state"] == "failed"
    assert story["calls"].count("lost_3") == 3


def test_the_reason_of_a_job_that_lost_its_worker_says_how(jobs):
    assert "the worker of toy ended by signal 9" in jobs["lost_3"]["reason"]


def test_a_job_waits_for_an_orthanc_that_does_not_answer(jobs):
    assert jobs["unreachable"]["state"] == "done"


def test_adding_the_same_job_again_is_no_new_job(story):
    assert set(story["new"].values()) == {True}
    assert (story["again"], story["after"]) == (False, False)
    assert story["calls"].count("done") == 1


def test_stat_goes_before_routine_before_research(story):
    order = [name for name in story["calls"] if name in {"stat", "routine", "research"}]

    assert order == ["stat", "routine", "research"]


def test_as_many_jobs_run_as_there_are_workers(jobs):
    assert jobs["while_blocked"]["running"] == 1
    assert jobs["while_blocked"]["queued"] == 4


def test_a_queued_job_that_is_cancelled_does_not_run(story):
    assert story["jobs"]["cancel_call"]["state"] == "cancelled"
    assert not story["ran_while_cancelled"]


def test_a_cancelled_job_can_be_retried_and_ends_done(story):
    assert story["jobs"]["cancelled"]["state"] == "done"
    assert story["calls"].count("cancelled") == 1


def test_a_running_job_that_is_cancelled_is_not_stored(story):
    job = story["jobs"]["cancelled_running"]

    assert (job["state"], job["stored"]) == ("cancelled", [])
    assert story["stored_after_cancel"] == len(story["jobs"]["last"]["stored"]) == 1
