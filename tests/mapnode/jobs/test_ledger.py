"""Ledger: what commands see of jobs, and how they ask a node for something, whether it runs or not."""

from collections import Counter

import pytest

from mapnode.database import place_of
from mapnode.errors import WrongUse
from mapnode.jobs import ledger as module
from mapnode.jobs.ledger import Ledger
from mapnode.records import JobState, Records
from mapnode.records.requests import RequestKind
from mapnode.records.switches import JOBS, app_switch
from tests.mapnode.engine import APP, add_job


@pytest.fixture
def records(tmp_path):
    records = Records(place_of(tmp_path, None).records)
    yield records
    records.close()


@pytest.fixture
def ledger(records, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.0)
    ledger = Ledger(place_of(tmp_path, None))
    yield ledger
    ledger.close()


def test_a_folder_without_a_node_is_wrong_use_and_stays_as_it_is(tmp_path):
    with pytest.raises(WrongUse, match="mapnode up"):
        Ledger(place_of(tmp_path, None))

    assert list(tmp_path.iterdir()) == []


def test_jobs_are_listed_the_newest_first_in_pages(ledger, records):
    jobs = [add_job(records, n) for n in range(5)]

    assert [job["id"] for job in ledger.newest()] == jobs[::-1]
    assert [job["id"] for job in ledger.newest(2, 1)] == [jobs[3], jobs[2]]


def test_a_job_says_what_it_is_about_and_why_it_is_where_it_is(ledger, records):
    job = add_job(records, mode="shadow", predecessor="b" * 64)
    records.jobs.note(job, "stage", seconds=0.5)
    records.jobs.note(job, "run", "failed: no luck", seconds=1.5)
    records.jobs.move(job, JobState.SHADOW, "kept")

    shown = ledger.show(job[:8])

    assert (shown["state"], shown["reason"], shown["app"], shown["mode"]) == ("shadow", "kept", APP, "shadow")
    assert (shown["source"], shown["priority"], shown["predecessor"]) == ("CT1", 2, "b" * 64)
    assert [(s["name"], s["state"], s["seconds"]) for s in shown["steps"]] == [
        ("stage", "done", 0.5),
        ("run", "failed", 1.5),
    ]
    assert [line["event"] for line in shown["history"]] == ["queued", "stage", "run", "shadow"]


@pytest.mark.parametrize("asked", ["show", "cancel", "retry", "release"])
def test_the_only_job_is_not_meant_by_an_empty_identifier(ledger, records, asked):
    add_job(records)

    with pytest.raises(WrongUse, match="no job begins with ''"):
        getattr(ledger, asked)("")


def test_progress_is_shown_while_a_job_runs_and_not_after(ledger, records):
    job = add_job(records, state=JobState.RUNNING)
    records.jobs.progress(job, "Segment 40%")
    before = ledger.show(job)["progress"]
    records.jobs.move(job, JobState.WAITING)

    assert (before, ledger.show(job)["progress"]) == ("Segment 40%", "")


@pytest.mark.parametrize("beginning", ["zz", "%"])
def test_an_unknown_beginning_is_wrong_use(ledger, records, beginning):
    add_job(records)

    with pytest.raises(WrongUse, match="no job begins with"):
        ledger.show(beginning)


def test_an_ambiguous_beginning_is_wrong_use(ledger, records):
    first = [add_job(records, n)[0] for n in range(17)]  # of 16 digits one stands twice
    (digit, count), *_ = Counter(first).most_common(1)

    assert count > 1
    with pytest.raises(WrongUse, match="more than one job begins with"):
        ledger.show(digit)


MAY = {
    "retry": {JobState.FAILED, JobState.CANCELLED, JobState.QUARANTINED, JobState.RECALLED},
    "cancel": {JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.SHADOW},
    "release": {JobState.SHADOW},
}


@pytest.mark.parametrize("call", MAY)
@pytest.mark.parametrize("state", list(JobState))
def test_a_command_is_asked_of_the_node_only_where_it_makes_sense(ledger, records, call, state):
    job = add_job(records, state=state)

    with pytest.raises(WrongUse) as refused:
        getattr(ledger, call)(job)

    asked = [(one.kind, one.argument) for one in records.requests.all()]
    if state in MAY[call]:
        assert asked == [(RequestKind(call), {"job": job})]
        assert "the node does not run" in str(refused.value)
    else:
        assert asked == []
        assert f"job {job} is {state}" in str(refused.value)


def test_a_request_that_the_node_took_care_of_shows_the_job_as_it_is_then(ledger, records, monkeypatch):
    job = add_job(records, state=JobState.FAILED)

    def take_care(request):
        records.jobs.move(job, JobState.QUEUED, "tried again on demand")
        records.requests.done(request)
        return False

    monkeypatch.setattr(ledger.records.requests, "waits", take_care)

    assert ledger.retry(job)["state"] == "queued"


def test_what_the_node_could_not_do_is_wrong_use_with_its_reason(ledger, records, monkeypatch):
    def refuse(request):
        records.requests.done(request, "Orthanc has no study or series with the UID 1.2.3")
        return False

    monkeypatch.setattr(ledger.records.requests, "waits", refuse)

    with pytest.raises(WrongUse, match="no study or series with the UID"):
        ledger.rerun(["1.2.3"])


def test_a_job_says_which_switch_holds_it(ledger, records):
    waiting, queued = add_job(records, 0, state=JobState.WAITING), add_job(records, 1)
    other, done = add_job(records, 2, app="other"), add_job(records, 3, state=JobState.DONE)
    records.switches.off(app_switch(APP), "wrong numbers")
    records.switches.off(JOBS, "maintenance")

    held_by = {job["id"]: job["held_by"] for job in ledger.newest()}

    off = f"{APP} is switched off: wrong numbers"
    assert held_by == {waiting: off, queued: off, other: "no job starts: maintenance", done: ""}


def test_jobs_that_wait_for_an_app_are_counted_while_it_is_off(ledger, records):
    for number, state in enumerate((JobState.WAITING, None, JobState.RUNNING, JobState.DONE)):
        add_job(records, number, state=state)
    add_job(records, 4, app="other")
    before = ledger.held()

    records.switches.off(app_switch(APP), "wrong numbers")

    assert (before, ledger.held()) == ({}, {APP: 2})
