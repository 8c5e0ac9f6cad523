"""Intake: what came waits until it rests, is decided once, and calls jobs back when it grows."""

import logging
import sqlite3

import pytest
from pydicom import dcmread
from sqlalchemy.exc import OperationalError

from mapnode.app_catalogue import find_app
from mapnode.intake import intake as module
from mapnode.pacs.resources import attachment_path
from mapnode.records import JobState
from tests.mapnode.engine import APP, SERIES
from tests.mapnode.intake.steps import IS_CT, IS_MR, all_jobs, settle, states

# waiting


def test_what_came_is_stored_before_anything_is_made_of_it(make_node, orthanc, files, records):
    make_node().intake.take(orthanc.add(SERIES, files))

    assert [one.orthanc_id for one in records.pending.all()] == [SERIES]
    assert states(records) == []


def test_a_series_is_decided_at_the_settle_time_and_not_before(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))

    settle(node, clock, 0.49)
    before = states(records)
    settle(node, clock, 0.01)

    assert (before, states(records)) == ([], ["queued"])
    assert records.pending.all() == []


def test_the_settle_time_counts_from_the_last_instance(make_node, orthanc, files, records, clock):
    node = make_node()
    for file in files:
        node.intake.take(orthanc.add(SERIES, [file]))
        settle(node, clock, 0.1)

    before = states(records)
    settle(node, clock, 0.5)

    assert (before, states(records)) == ([], ["queued"])


def test_a_series_with_a_hole_is_given_more_time(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, [files[0], files[1], files[3]]))
    settle(node, clock, 0.5)
    before = states(records)

    settle(node, clock, 4.5)

    assert (before, states(records)) == ([], ["queued"])


def test_the_next_look_is_when_the_first_series_is_looked_at_ahead_and_then_when_it_has_settled(
    make_node, orthanc, files, clock
):
    node = make_node()
    looks = [node.intake.next_look_s()]
    node.intake.take(orthanc.add(SERIES, files))
    for _ in range(2):
        looks.append(node.intake.next_look_s())
        settle(node, clock, 0.2)
    looks.append(node.intake.next_look_s())

    assert looks == [None, pytest.approx(0.05), pytest.approx(0.3), pytest.approx(0.1)]


def test_what_waited_at_a_crash_is_decided_after_it(make_node, orthanc, files, records, clock):
    make_node().intake.take(orthanc.add(SERIES, files))
    restarted = make_node()

    settle(restarted, clock)

    assert states(records) == ["queued"]


def test_a_series_that_another_thread_made_wait_is_decided_without_a_restart(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.RECALLED, "the source changed while it ran")

    records.pending.grew([SERIES], 0.0)
    node.intake.adopt()
    settle(node, clock, 5)

    assert states(records) == ["recalled", "queued"]
    assert records.pending.all() == []


def test_while_orthanc_is_silent_it_is_not_asked_at_every_look(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    orthanc.down = True
    clock.now += 1
    for _ in range(50):
        node.intake.decide_settled()
        clock.now += 0.001

    asked, orthanc.down = orthanc.asked, False
    settle(node, clock, 2)

    assert asked <= 2
    assert states(records) == ["queued"]


def test_a_series_that_cannot_be_read_keeps_nobody_else_waiting(make_node, orthanc, files, records, clock, caplog):
    node = make_node()
    (event,) = orthanc.add("broken", files[:1])
    orthanc.contents[event.id] = b"no DICOM"
    attachment_path(event.file_uuid, orthanc.storage).write_bytes(b"no DICOM")
    node.intake.take([event, *orthanc.add(SERIES, files[1:])])

    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        settle(node, clock)
        node.intake.decide_settled()

    assert states(records) == ["queued"]
    assert [one.orthanc_id for one in records.pending.all()] == ["broken"]


def test_a_series_that_cannot_be_read_is_tried_less_and_less_often_until_it_changes(
    make_node, orthanc, files, records, clock, caplog
):
    node = make_node()
    (event,) = orthanc.add("broken", files[:1])
    orthanc.contents[event.id] = b"no DICOM"
    attachment_path(event.file_uuid, orthanc.storage).write_bytes(b"no DICOM")
    node.intake.take([event])
    for _ in range(24 * 60 * 2):
        settle(node, clock, 30)
    tries = caplog.text.count("could not be decided")
    orthanc.remove("broken")
    node.intake.take(orthanc.add("broken", files[1:]))
    settle(node, clock, 5)

    assert 24 * 6 <= tries <= 24 * 6 + 5
    assert states(records) == ["queued"]


def test_records_that_cannot_be_written_are_waited_for_and_no_fault_of_the_series(
    make_node, orthanc, files, records, clock, monkeypatch
):
    locked = sqlite3.OperationalError("database is locked")
    locked.sqlite_errorcode = sqlite3.SQLITE_BUSY
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))

    def fail(_):
        raise OperationalError("INSERT", {}, locked)

    with monkeypatch.context() as patch:
        patch.setattr(records.decisions, "add", fail)
        with pytest.raises(OperationalError):
            settle(node, clock)
    is_unreadable = node.intake.series[SERIES].is_unreadable
    settle(node, clock, 0.0)

    assert not is_unreadable
    assert states(records) == ["queued"]
    assert records.pending.all() == []


def test_why_a_series_cannot_be_decided_is_said_without_foreign_words(
    make_node, orthanc, files, clock, monkeypatch, caplog
):
    def fail(*_, **__):
        raise ValueError("'DOE^JANE' is no number")

    monkeypatch.setattr("mapnode.intake.deciding.facts_from_headers", fail)
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    with caplog.at_level(logging.DEBUG, logger="mapnode"):
        settle(node, clock, 0.1)
        settle(node, clock)

    assert "could not be decided, trying again in 30 s: ValueError" in caplog.text
    assert "DOE" not in caplog.text


# deciding


def test_a_job_knows_its_rule_its_app_and_its_input(make_node, orthanc, files, records, clock):
    header = dcmread(files[0])
    node = make_node({"when": [IS_CT], "priority": "stat", "parameters": {"a": 1}, "mode": "shadow"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    (job,) = all_jobs(records)
    spec = job.spec
    assert (job.priority, job.source, job.subject) == (1, "SCANNER", SERIES)
    assert (spec.rule, spec.app, spec.parameters, spec.mode) == ("rule_0", APP, {"a": 1}, "shadow")
    assert spec.app_version == find_app(APP).manifest.application.version
    assert (spec.study_instance_uid, spec.series_instance_uid) == (header.StudyInstanceUID, header.SeriesInstanceUID)
    assert (spec.series_ids, spec.attempt, spec.predecessor, spec.replaces) == ((SERIES,), 0, None, ())
    assert {(one[0], one[2]) for one in node.said.asked} == {(SERIES, "SCANNER")}


def test_a_series_that_no_rule_wants_is_recorded_with_the_clause_that_decided(
    make_node, orthanc, files, records, clock
):
    node = make_node({"when": [IS_CT, IS_MR]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    (decision,) = records.decisions.all()
    assert (decision.matched, decision.job_id, [c["held"] for c in decision.clauses]) == (False, None, [True, False])
    assert (states(records), node.said.asked) == ([], [])


def test_a_rule_that_is_off_is_not_asked(make_node, orthanc, files, records, clock):
    node = make_node({"when": [IS_CT], "mode": "off"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    assert (records.decisions.all(), states(records)) == ([], [])


def test_of_rules_that_want_the_same_job_the_most_urgent_live_one_has_it(make_node, orthanc, files, records, clock):
    node = make_node(
        {"when": [IS_CT], "mode": "shadow", "priority": "stat"},
        {"when": [IS_CT], "priority": "routine"},
        {"when": [IS_CT], "priority": "stat"},
        {"when": [IS_MR], "priority": "stat"},
    )
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)

    (job,) = all_jobs(records)
    assert (job.spec.rule, job.spec.mode, job.priority) == ("rule_2", "live", 1)
    assert {one.rule: one.job_id for one in records.decisions.all()} == {
        "rule_0": job.id, "rule_1": job.id, "rule_2": job.id, "rule_3": None,
    }  # fmt: skip


def test_the_same_instances_again_make_no_second_job(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)

    node.intake.take(events)
    settle(node, clock, 60)

    assert states(records) == ["queued"]
    assert len(records.decisions.all()) == 1


def test_a_done_series_that_is_told_again_after_a_restart_does_not_run_twice(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.DONE)

    restarted = make_node()
    restarted.intake.take(events)
    settle(restarted, clock, 60)

    assert states(records) == ["done"]


# late instances


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.SHADOW])
def test_a_late_instance_calls_back_what_is_not_published_and_a_new_job_follows(
    make_node, orthanc, files, records, clock, state
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, state)

    node.intake.take(orthanc.add(SERIES, files[4:]))
    at_once = states(records)
    settle(node, clock, 5)

    assert at_once == ["recalled"]
    assert states(records) == ["recalled", "queued"]
    assert len({job.spec.identity for job in all_jobs(records)}) == 2


def test_a_call_back_that_could_not_be_written_is_made_up_for_when_the_instances_are_taken_again(
    make_node, orthanc, files, records, clock, monkeypatch
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    node = make_node()  # another run of the node, which has forgotten the series
    node.intake.series.clear()

    def fail(*_):
        raise OperationalError("UPDATE", {}, Exception("database is locked"))

    late = orthanc.add(SERIES, files[4:])
    with monkeypatch.context() as patch:
        patch.setattr(records.jobs, "take_back", fail)
        with pytest.raises(OperationalError):
            node.intake.take(late)
    node.intake.take(late)

    assert states(records) == ["recalled"]


def test_a_series_that_grew_while_a_result_goes_out_is_decided_after_that(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    (job,) = all_jobs(records)
    records.jobs.move(job.id, JobState.PUBLISHING)
    node.intake.take(orthanc.add(SERIES, files[4:]))
    settle(node, clock, 5)
    during = states(records)
    records.jobs.move(job.id, JobState.DONE)

    settle(node, clock, 1)

    assert during == ["publishing"]
    assert states(records) == ["done", "queued"]


def test_a_job_after_a_late_instance_supersedes_the_published_one(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)

    node.intake.take(orthanc.add(SERIES, files[4:]))
    settle(node, clock, 5)

    second = all_jobs(records)[1]
    assert (second.spec.predecessor, second.spec.replaces) == (first.spec.identity, (first.id,))


def test_the_same_input_after_it_was_taken_back_is_a_further_attempt(make_node, orthanc, files, records, clock):
    node = make_node()
    events = orthanc.add(SERIES, files)
    node.intake.take(events)
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.SUPERSEDED)

    node.intake.changed(SERIES, "it was resent")
    settle(node, clock, 5)

    second = all_jobs(records)[1]
    assert (second.spec.attempt, second.state) == (1, "queued")
    assert second.spec.identity != first.spec.identity


def test_a_forced_series_runs_once_more_and_only_once(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    (first,) = all_jobs(records)
    records.jobs.move(first.id, JobState.DONE)
    records.jobs.stored(first.id, [])

    node.intake.force(SERIES)
    settle(node, clock)
    settle(node, clock, 60)

    _, second = all_jobs(records)
    assert (second.spec.attempt, second.spec.replaces) == (1, (first.id,))


def test_a_rerun_under_way_is_not_called_back_when_its_series_is_looked_at_again(
    make_node, orthanc, files, records, clock
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)
    node.intake.force(SERIES)
    settle(node, clock)

    node.intake.doubt()
    settle(node, clock)

    assert states(records) == ["done", "queued"]


def test_a_forced_series_takes_the_place_of_its_job_under_way(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.RUNNING)

    node.intake.force(SERIES)
    settle(node, clock)

    assert states(records) == ["recalled", "queued"]


def test_a_forced_series_is_forced_after_a_crash_too(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.DONE)
    node.intake.force(SERIES)

    settle(make_node(), clock)

    assert states(records) == ["done", "queued"]


# what cannot be stored


def test_instances_that_could_not_be_stored_are_news_when_they_are_told_again(
    make_node, orthanc, files, records, clock, monkeypatch
):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:4]))
    settle(node, clock)
    late = orthanc.add(SERIES, files[4:])

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(records.pending, "grew", fail)
        with pytest.raises(OSError, match="No space"):
            node.intake.take(late)
    node.intake.take(late)

    assert states(records) == ["recalled"]
    assert [one.orthanc_id for one in records.pending.all()] == [SERIES]


# memory


def test_what_rests_for_long_is_forgotten_and_what_has_a_job_to_come_is_not(make_node, orthanc, files, records, clock):
    node = make_node()
    node.intake.take(orthanc.add(SERIES, files[:2]))
    node.intake.take(orthanc.add("other", files[2:]))
    settle(node, clock)
    records.jobs.move(records.jobs.of_subject("other")[0].id, JobState.DONE)

    clock.now += module.FORGET_S + 1
    node.intake.forget()

    assert set(node.intake.series) == {SERIES}


def test_a_shadow_job_that_nobody_releases_keeps_nothing_in_memory(make_node, orthanc, files, records, clock):
    node = make_node({"when": [IS_CT], "mode": "shadow"})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    records.jobs.move(all_jobs(records)[0].id, JobState.SHADOW)

    clock.now += module.FORGET_S + 1
    node.intake.forget()

    assert node.intake.series == {}
    assert make_node().intake.series == {}


def test_what_is_kept_in_memory_is_bounded_by_instances(make_node, orthanc, files, records, clock, monkeypatch):
    monkeypatch.setattr(module, "KEPT_INSTANCES", 6)
    node = make_node({"when": [IS_MR]})
    for number in range(4):
        node.intake.take(orthanc.add(f"series-{number}", files[:3]))
        settle(node, clock, 5)

    node.intake.forget()

    assert set(node.intake.series) == {"series-2", "series-3"}
    assert node.stager.dropped == ["series-0", "series-1"] or set(node.stager.dropped) >= {"series-0", "series-1"}


def test_a_stage_of_a_series_at_rest_is_given_back(make_node, orthanc, files, clock):
    node = make_node({"when": [IS_MR]})
    node.intake.take(orthanc.add(SERIES, files))
    settle(node, clock)
    clock.now += module.STAGE_S + 1

    node.intake.forget()
    node.intake.forget()

    assert node.stager.dropped == [SERIES]
