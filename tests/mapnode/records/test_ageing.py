"""Ageing: what records say in detail of long ago is forgotten, and nothing that a later result hangs on."""

import time

import pytest

from mapnode.records import DecisionRecord, JobState
from mapnode.records import ageing as module
from mapnode.records.jobs import REJECTED
from tests.mapnode.engine import SERIES, add_job


def decide(records, at: float) -> None:
    records.decisions.add([DecisionRecord(at, "1.2", SERIES, "trunk", "app", False, [], None)])


def lines(records, job) -> list[str]:
    return [line.event for line in records.jobs.history([job])[job]]


def test_decisions_of_long_ago_are_forgotten_and_later_ones_stay(records):
    for at in (10.0, 20.0, 30.0):
        decide(records, at)

    assert records.ageing.purge(before=25.0) == 2
    assert [one.at for one in records.decisions.all()] == [30.0]


def test_the_history_of_a_job_that_ended_long_ago_goes_and_what_became_of_it_stays(records):
    job = add_job(records, state=JobState.DONE)
    records.jobs.made(job, ["1.2.3"])
    records.jobs.stored(job, [{"path": "seg.dcm", "orthanc_id": "a", "sop_instance_uid": "1.2.3", "status": "Success"}])
    before = records.jobs.get(job)

    assert records.ageing.purge(time.time() + 1) == 2
    assert lines(records, job) == []
    assert records.jobs.get(job) == before
    assert records.jobs.maker_of(["1.2.3"]) == before


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WAITING, JobState.SHADOW])
def test_the_history_of_a_job_to_come_stays_however_old(records, state):
    job = add_job(records, state=state)
    before = lines(records, job)

    records.ageing.purge(time.time() + 1)

    assert lines(records, job) == before


def test_how_often_results_began_to_go_out_is_known_for_ever(records):
    job = add_job(records)
    for state in (JobState.PUBLISHING, JobState.WAITING, JobState.PUBLISHING, JobState.DONE):
        records.jobs.move(job, state)

    records.ageing.purge(time.time() + 1)

    assert records.jobs.times_in(job, JobState.PUBLISHING) == 2


def test_what_is_out_of_use_is_known_for_ever(records):
    records.rejections.add(["1.2.3"], "1.2.4", "Rejected for Quality Reasons")
    job = add_job(records, state=JobState.SUPERSEDED)
    records.jobs.stored(job, [{"path": "a", "orthanc_id": "", "sop_instance_uid": "1.2.9", "status": REJECTED}])

    records.ageing.purge(time.time() + 1)

    assert records.rejections.among(["1.2.3"]) == {"1.2.3"}
    assert records.jobs.get(job).stored[0]["status"] == REJECTED


def test_much_is_forgotten_in_bites(records, monkeypatch):
    monkeypatch.setattr(module, "BITE", 2)
    for at in (1.0, 2.0, 3.0, 4.0, 5.0):
        decide(records, at)

    assert [records.ageing.purge(before=4.5) for _ in range(3)] == [2, 2, 0]
    assert [one.at for one in records.decisions.all()] == [5.0]


def test_what_stays_keeps_nothing_behind_it_from_being_forgotten(records, monkeypatch):
    monkeypatch.setattr(module, "BITE", 2)
    shadow = add_job(records, 0, state=JobState.SHADOW)
    ended = add_job(records, 1, state=JobState.REFUSED)

    forgotten = [records.ageing.purge(time.time() + 1) for _ in range(2)]

    assert (forgotten, lines(records, ended), len(lines(records, shadow))) == ([0, 2], [], 2)


def test_a_clock_that_was_ahead_for_a_while_keeps_nothing_from_being_forgotten(records):
    for at in (10.0, 9e9, 20.0):
        decide(records, at)

    assert records.ageing.purge(before=25.0) == 2
    assert [one.at for one in records.decisions.all()] == [9e9]
