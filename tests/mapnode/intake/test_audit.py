"""Audit: what nobody told of is found at published jobs, and only that is decided again."""

import threading

import pytest

from mapnode.intake import audit as module
from mapnode.intake.audit import Audit
from mapnode.intake.source import SourceReader
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.records import JobState
from tests.mapnode.engine import SERIES
from tests.mapnode.intake.steps import PAIR, all_jobs, settle, states
from tests.mapnode.intake.test_source_changes import study_files

OTHER = "series-2"


class Stop(threading.Event):
    """Waits for nothing, and remembers for how long it should have."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture
def look(orthanc, records):
    """Makes a round, and lets the intake hear what came of it."""

    def look(node):
        reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
        stop = Stop()
        Audit(reader, records, lambda message: message(node.intake)).round(stop)
        return stop.waits

    return look


@pytest.fixture
def published(make_node, orthanc, files, records, clock):
    """A published job on a series that the node has forgotten: another run of the node."""
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)
    return job


def test_a_source_that_is_as_it_was_is_not_decided_again(published, make_node, look, records, clock):
    node = make_node()
    look(node)
    assert records.pending.all() == []
    assert states(records) == ["done"]


def test_a_deletion_that_nobody_told_of_is_found(published, make_node, orthanc, look, records, clock):
    node = make_node()
    orthanc.remove(SERIES, 1)
    look(node)
    settle(node, clock, 5)

    first, second = all_jobs(records)
    assert second.spec.replaces == (first.id,)


def test_results_of_a_series_that_went_unnoticed_are_withdrawn(published, make_node, orthanc, look, clock):
    node = make_node()
    orthanc.remove(SERIES)
    look(node)
    settle(node, clock, 5)

    assert node.said.withdrawn == [published.id]


def test_results_of_a_study_that_went_unnoticed_are_withdrawn(make_node, orthanc, tmp_path, look, records, clock):
    few, many = study_files(tmp_path)
    node = make_node({"study": PAIR})
    for name, series in {"few": few, "many": many}.items():
        node.intake.take(orthanc.add(name, series))
        settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    node = make_node({"study": PAIR})
    orthanc.remove("few")
    look(node)
    settle(node, clock, 5)

    assert set(node.said.withdrawn) == {job.id}


def test_what_is_arriving_at_the_moment_is_left_to_the_intake(published, make_node, orthanc, look, records, clock):
    node = make_node()
    events = orthanc.remove(SERIES, 1)
    node.intake.changed(SERIES, "an instance was deleted")
    before = node.intake.series[SERIES].last
    clock.now += 1
    look(node)

    assert events
    assert node.intake.series[SERIES].last == before


@pytest.mark.parametrize("state", [JobState.WAITING, JobState.FAILED])
def test_a_change_that_another_job_is_about_already_is_none(published, make_node, orthanc, look, records, clock, state):
    node = make_node()
    orthanc.remove(SERIES, 1)
    node.intake.changed(SERIES, "an instance was deleted")
    settle(node, clock, 5)
    records.jobs.move(all_jobs(records)[1].id, state)
    look(node)

    assert states(records) == ["done", state]
    assert records.pending.all() == []


def test_the_audit_takes_little_of_the_machine(published, make_node, look):
    (pause,) = look(make_node())
    assert pause >= module.PAUSE_S


def test_an_orthanc_that_is_away_is_asked_later_about_the_same_job(published, make_node, orthanc, records, monkeypatch):
    asked = []

    def current_input(_reader, spec):
        asked.append(spec.job_id)
        if len(asked) < 3:
            raise OrthancUnreachable("http://127.0.0.1:1", "gone")

    monkeypatch.setattr(module, "current_input", current_input)
    stop = Stop()
    Audit(SourceReader(orthanc, orthanc.storage, records.rejections.among), records, lambda _: None).round(stop)

    assert asked == [published.id] * 3
    assert stop.waits[:2] == [module.FAILED_S] * 2


def test_rounds_follow_one_another_and_end_when_told(orthanc, records):
    class OneRound(Stop):
        def wait(self, timeout=None):
            self.set()
            return super().wait(timeout)

    stop = OneRound()
    Audit(SourceReader(orthanc, orthanc.storage, records.rejections.among), records, lambda _: None).run(stop)

    (pause,) = stop.waits
    assert module.ROUND_S - 60 < pause <= module.ROUND_S
