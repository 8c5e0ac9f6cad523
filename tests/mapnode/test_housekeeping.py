"""Housekeeping: what was kept long enough goes, and nothing that somebody still needs."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from mapnode import housekeeping as module
from mapnode.housekeeping import DAY_S, Housekeeping
from mapnode.records import JobState
from mapnode.records.switches import JOBS, app_switch
from tests.mapnode.engine import APP, add_job


def make_keeper(tmp_path, records, *, purge=lambda _: 0, min_free_mb=0):
    def cancel(job, why):
        records.jobs.take_back(job, JobState.CANCELLED, why)

    days = {"jobs_days": 30, "shadow_days": 90, "quarantine_days": 365, "records_days": 1000}
    return Housekeeping(tmp_path, records, purge, cancel, min_free_mb=min_free_mb, **days)


@pytest.fixture
def keep(tmp_path, records):
    return make_keeper(tmp_path, records)


def make_folder(tmp_path, kind, name, days):
    folder = tmp_path / kind / name
    folder.mkdir(parents=True)
    (folder / "seg.dcm").write_text("result")
    then = time.time() - days * DAY_S
    os.utime(folder, (then, then))
    return folder


@pytest.mark.parametrize(("days", "stays"), [(29, True), (31, False)])
def test_files_of_ended_jobs_go_after_their_days(keep, records, tmp_path, days, stays):
    folder = make_folder(tmp_path, "jobs", add_job(records, state=JobState.DONE), days)

    keep()

    assert folder.is_dir() is stays


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.SHADOW])
def test_files_of_jobs_to_come_stay_however_old_and_however_full_the_disk(records, tmp_path, monkeypatch, state):
    keep = make_keeper(tmp_path, records, min_free_mb=1)
    folder = make_folder(tmp_path, "jobs", add_job(records, state=state), 1000)
    monkeypatch.setattr(module, "free_mb", lambda _: 0.0)

    keep()

    assert folder.is_dir()


def test_when_the_disk_runs_short_the_oldest_go_first_and_no_more_than_needed(records, tmp_path, monkeypatch):
    keep = make_keeper(tmp_path, records, min_free_mb=1)
    folders = [
        make_folder(tmp_path, "jobs", add_job(records, n, state=JobState.DONE), days)
        for n, days in enumerate((1, 3, 2))
    ]
    monkeypatch.setattr(module, "free_mb", lambda _: 5.0 if not folders[1].is_dir() else 0.0)

    keep()

    assert [folder.is_dir() for folder in folders] == [True, False, True]


def test_quarantine_is_kept_longer(keep, records, tmp_path):
    job = add_job(records, state=JobState.QUARANTINED)
    old, young = make_folder(tmp_path, "quarantine", "old", 366), make_folder(tmp_path, "quarantine", job, 364)

    keep()

    assert (old.is_dir(), young.is_dir()) == (False, True)


def test_a_new_node_has_nothing_to_delete(tmp_path, keep):
    before = sorted(tmp_path.iterdir())
    keep()
    assert sorted(tmp_path.iterdir()) == before


def test_steps_of_workflows_are_forgotten_after_the_days_that_files_are_kept(tmp_path, records):
    asked = []

    def purge(before):
        asked.append(datetime.now(UTC) - before)
        return 0

    make_keeper(tmp_path, records, purge=purge)()
    assert [round(age / timedelta(days=1)) for age in asked] == [30]


@pytest.mark.parametrize(("days", "stays"), [(999, True), (1001, False)])
def test_the_history_of_ended_jobs_goes_after_the_days_of_the_records(keep, records, monkeypatch, days, stays):
    job = add_job(records, state=JobState.DONE)
    now = time.time() + days * DAY_S
    monkeypatch.setattr(module.time, "time", lambda: now)

    keep()

    assert bool(records.jobs.history([job])[job]) is stays
    assert records.jobs.state(job) is JobState.DONE


@pytest.mark.parametrize(("days", "state"), [(89, JobState.SHADOW), (91, JobState.CANCELLED)])
def test_a_shadow_job_that_nobody_releases_is_cancelled_after_its_days(keep, records, monkeypatch, days, state):
    job = add_job(records, state=JobState.SHADOW)
    now = time.time() + days * DAY_S
    monkeypatch.setattr(module.time, "time", lambda: now)

    keep()

    assert records.jobs.state(job) is state


def test_the_days_of_a_shadow_job_begin_when_its_results_were_last_there_to_release(keep, records, monkeypatch):
    job = add_job(records, state=JobState.SHADOW)
    now = time.time() + 60 * DAY_S
    monkeypatch.setattr(module.time, "time", lambda: now)
    for after in (JobState.QUEUED, JobState.SHADOW):
        records.jobs.move(job, after, "tried again on demand")
    now += 60 * DAY_S

    keep()

    assert records.jobs.state(job) is JobState.SHADOW


def test_files_of_a_shadow_job_go_with_it_and_its_reason_says_how_it_is_made_again(
    keep, records, tmp_path, monkeypatch
):
    job = add_job(records, state=JobState.SHADOW)
    folder = make_folder(tmp_path, "jobs", job, 0)
    now = time.time() + 91 * DAY_S
    monkeypatch.setattr(module.time, "time", lambda: now)

    keep()
    keep()

    assert not folder.exists()
    assert records.jobs.get(job).reason == "nobody released it for 90 days; `mapnode rerun` makes it again"


def look_after(days, keep, monkeypatch):
    now = time.time() + days * DAY_S
    monkeypatch.setattr(module.time, "time", lambda: now)
    keep()


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WAITING])
@pytest.mark.parametrize(("days", "ends"), [(89, False), (91, True)])
def test_a_job_whose_app_stays_switched_off_is_cancelled_after_the_days_of_shadow_jobs(
    keep, records, monkeypatch, state, days, ends
):
    job = add_job(records, state=state)
    records.switches.off(app_switch(APP), "wrong numbers")

    look_after(days, keep, monkeypatch)

    assert records.jobs.state(job) is (JobState.CANCELLED if ends else state)
    assert (
        records.jobs.get(job).reason == APP + " was switched off for 90 days; `mapnode rerun` makes it again"
    ) is ends


@pytest.mark.parametrize("switch", [None, JOBS, app_switch("other")])
def test_a_job_whose_own_app_is_on_is_not_cancelled_however_long_it_waits(keep, records, monkeypatch, switch):
    job = add_job(records, state=JobState.WAITING)
    if switch is not None:
        records.switches.off(switch, "for long")

    look_after(1000, keep, monkeypatch)

    assert records.jobs.state(job) is JobState.WAITING


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PUBLISHING, JobState.SHADOW])
def test_what_does_not_wait_for_its_app_is_not_cancelled_with_what_does(keep, records, monkeypatch, state):
    job = add_job(records, state=state)
    records.switches.off(app_switch(APP), "wrong numbers")
    records.jobs.note(job, state, at=time.time() + 1e9)  # a shadow job that came there just now

    look_after(91, keep, monkeypatch)

    assert records.jobs.state(job) is state
