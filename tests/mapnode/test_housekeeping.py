"""Housekeeping: what was kept long enough goes, and nothing that somebody still needs."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from mapnode import housekeeping as module
from mapnode.housekeeping import DAY_S, Housekeeping
from mapnode.records import JobState
from tests.mapnode.engine import add_job


@pytest.fixture
def keep(tmp_path, records):
    return Housekeeping(tmp_path, records, lambda _: 0, jobs_days=30, quarantine_days=365, min_free_mb=0)


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
    keep = Housekeeping(tmp_path, records, lambda _: 0, jobs_days=30, quarantine_days=365, min_free_mb=1)
    folder = make_folder(tmp_path, "jobs", add_job(records, state=state), 1000)
    monkeypatch.setattr(module, "free_mb", lambda _: 0.0)

    keep()

    assert folder.is_dir()


def test_when_the_disk_runs_short_the_oldest_go_first_and_no_more_than_needed(records, tmp_path, monkeypatch):
    keep = Housekeeping(tmp_path, records, lambda _: 0, jobs_days=30, quarantine_days=365, min_free_mb=1)
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

    Housekeeping(tmp_path, records, purge, jobs_days=30, quarantine_days=365, min_free_mb=0)()
    assert [round(age / timedelta(days=1)) for age in asked] == [30]
