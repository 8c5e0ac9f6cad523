"""Audit: what nobody told of is found at published jobs, and only that is decided again."""

import threading

import pytest
from pydicom import dcmread

from mapnode.intake import audit as module
from mapnode.intake.audit import Audit
from mapnode.intake.source import SourceReader
from mapnode.pacs.errors import OrthancRefused, UnexpectedAnswer
from mapnode.pacs.resources import FoundResource
from mapnode.records import JobState
from operators.core.identity import derived_uid
from tests.mapnode.engine import SERIES, STUDY
from tests.mapnode.intake.steps import IS_CT, PAIR, all_jobs, settle, states
from tests.mapnode.intake.studies import study_files


class Stop(threading.Event):
    """Waits for nothing, and remembers for how long it should have."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture
def withdrawn():
    return []


@pytest.fixture
def look(orthanc, records, withdrawn):
    """Makes rounds of one audit, and lets the intake hear what came of them; the last one's pauses."""
    reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
    nodes = []
    audit = Audit(reader, records, lambda message: message(nodes[-1].intake), lambda job, _: withdrawn.append(job))

    def look(node):
        nodes.append(node)
        stop = Stop()
        audit.round(stop)
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


def test_a_change_after_one_that_failed_is_found(published, make_node, orthanc, files, look, records, clock):
    keep_a_result(orthanc, files)
    node = make_node()
    orthanc.remove(SERIES, 1)
    node.intake.changed(SERIES, "an instance was deleted")
    settle(node, clock, 5)
    records.jobs.move(all_jobs(records)[1].id, JobState.FAILED)
    orthanc.remove(SERIES, 1)
    look(node)
    settle(node, clock, 5)

    assert states(records) == ["done", "failed", "queued"]


def test_a_deletion_that_nobody_told_of_is_found(published, make_node, orthanc, files, look, records, clock):
    node = make_node()
    keep_a_result(orthanc, files)
    orthanc.remove(SERIES, 1)
    look(node)
    settle(node, clock, 5)

    first, second = all_jobs(records)
    assert second.spec.replaces == (first.id,)


def keep_a_result(orthanc, files):
    """The study goes on in Orthanc with the results, when the source is gone."""
    orthanc.uids[str(dcmread(files[0]).StudyInstanceUID)] = [
        FoundResource(id=STUDY, type="Study", path=f"/studies/{STUDY}")
    ]


def test_results_of_a_series_that_went_unnoticed_are_withdrawn(published, make_node, orthanc, files, look, clock):
    node = make_node()
    keep_a_result(orthanc, files)
    orthanc.remove(SERIES)
    look(node)
    settle(node, clock, 5)

    assert node.said.withdrawn == [published.id]


def test_where_orthanc_has_nothing_of_the_study_there_is_nothing_to_withdraw(
    published, make_node, orthanc, look, records, clock
):
    node = make_node()
    orthanc.remove(SERIES)
    look(node)
    settle(node, clock, 5)

    assert node.said.withdrawn == []
    assert states(records) == ["done"]


def test_results_of_a_study_that_went_unnoticed_are_withdrawn(make_node, orthanc, tmp_path, look, records, clock):
    few, many = study_files(tmp_path)
    node = make_node({"study": PAIR})
    for name, series in {"few": few, "many": many}.items():
        node.intake.take(orthanc.add(name, series))
        settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    node = make_node({"study": PAIR})
    for files in (few, many):
        keep_a_result(orthanc, files)
    orthanc.remove("few")
    look(node)
    settle(node, clock, 5)

    assert set(node.said.withdrawn) == {job.id}


def test_what_no_rule_wants_any_more_is_decided_once_and_withdrawn_then(
    published, make_node, orthanc, files, look, withdrawn, clock
):
    keep_a_result(orthanc, files)
    node = make_node({"name": "another", "when": [{**IS_CT, "equals": "MR"}]})
    orthanc.remove(SERIES, 1)
    look(node)
    before = list(withdrawn)
    settle(node, clock, 5)
    look(node)

    assert (before, withdrawn) == ([], [published.id])


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
def test_a_change_that_another_job_is_about_already_is_none(
    published, make_node, orthanc, files, look, records, clock, state
):
    node = make_node()
    keep_a_result(orthanc, files)
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


def test_an_orthanc_that_is_away_is_asked_later_about_the_same_job(published, orthanc, records):
    class ComesBack(Stop):
        def wait(self, timeout=None):
            orthanc.down = len(self.waits) < 2
            return super().wait(timeout)

    orthanc.down = True
    stop, reader = ComesBack(), SourceReader(orthanc, orthanc.storage, records.rejections.among)
    Audit(reader, records, lambda _: None, lambda *_: None).round(stop)

    assert stop.waits[:3] == [module.FAILED_S] * 3
    assert stop.waits[3] >= module.PAUSE_S


def test_one_series_that_cannot_be_read_does_not_end_the_round(published, orthanc, records, monkeypatch):
    def refuse(_):
        raise OrthancRefused("GET /series", 500, "corrupted")

    monkeypatch.setattr(orthanc, "series", refuse)
    stop, reader = Stop(), SourceReader(orthanc, orthanc.storage, records.rejections.among)
    Audit(reader, records, lambda _: None, lambda *_: None).round(stop)

    assert len(stop.waits) == 1


def test_rounds_follow_one_another_and_end_when_told(orthanc, records):
    class OneRound(Stop):
        def wait(self, timeout=None):
            self.set()
            return super().wait(timeout)

    stop, reader = OneRound(), SourceReader(orthanc, orthanc.storage, records.rejections.among)
    Audit(reader, records, lambda _: None, lambda *_: None).run(stop)

    (pause,) = stop.waits
    assert module.ROUND_S - 60 < pause <= module.ROUND_S


@pytest.mark.parametrize("error", [UnexpectedAnswer("GET /series", "no JSON"), ValueError("DOE^JANE")])
def test_a_job_that_cannot_be_looked_at_does_not_end_the_audit_of_the_others(
    published, make_node, orthanc, files, records, look, clock, monkeypatch, caplog, error
):
    keep_a_result(orthanc, files)
    node = make_node()
    node.intake.take(orthanc.add("another", [of_another_study(path) for path in files]))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[1].id, JobState.DONE)
    series = orthanc.series

    def fail_at_first(series_id):
        if series_id == "another":
            raise error
        return series(series_id)

    monkeypatch.setattr(orthanc, "series", fail_at_first)
    orthanc.remove(SERIES, 1)
    look(node)
    settle(node, clock, 5)

    assert [job.state for job in records.jobs.of_subject(SERIES, set(JobState))] == ["done", "queued"]
    assert "cannot be looked at" in caplog.text
    assert "DOE" not in caplog.text


def of_another_study(path):
    image = dcmread(path)
    image.StudyInstanceUID, image.SeriesInstanceUID = derived_uid("study"), derived_uid("series")
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = derived_uid(path.name)
    image.save_as(path.with_suffix(".other"))
    return path.with_suffix(".other")
