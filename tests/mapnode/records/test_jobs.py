"""Jobs: every change of state has its reason, and nothing is taken twice."""

import pytest

from mapnode.records import JobState, Records
from tests.mapnode.engine import APP, add_job, make_spec


def test_a_job_that_is_known_is_not_taken_twice(records):
    spec = make_spec()

    assert records.jobs.add(spec.job_id, spec, 2, "CT1", "first")
    assert not records.jobs.add(spec.job_id, spec, 1, "CT2", "second")
    assert records.jobs.get(spec.job_id).reason == "first"


def test_a_job_moves_only_from_where_it_may(records):
    job = add_job(records)

    assert not records.jobs.move(job, JobState.WAITING, only_from={JobState.RUNNING})
    assert records.jobs.move(job, JobState.RUNNING, "a slot is free", only_from={JobState.QUEUED}, tries=1)
    assert (records.jobs.state(job), records.jobs.get(job).tries) == (JobState.RUNNING, 1)


def test_every_move_that_happened_is_in_the_history_with_its_reason(records):
    job = add_job(records)
    records.jobs.move(job, JobState.WAITING, "never", only_from={JobState.RUNNING})
    records.jobs.move(job, JobState.RUNNING, "a slot is free")

    history = [(line.event, line.detail) for line in records.jobs.history([job])[job]]
    assert history == [("queued", "the rule matched"), ("running", "a slot is free")]


def test_states_are_counted_by_job(records):
    job = add_job(records)
    for _ in range(3):
        records.jobs.move(job, JobState.PUBLISHING)
        records.jobs.move(job, JobState.WAITING)

    assert (records.jobs.times_in(job, JobState.PUBLISHING), records.jobs.times_in("other", JobState.PUBLISHING)) == (
        3,
        0,
    )


def test_the_maker_of_an_object_is_known_over_a_restart(records, tmp_path):
    job = add_job(records)
    records.jobs.made(job, ["1.2.3", "1.2.4"])
    records.jobs.made(job, ["1.2.3"])

    again = Records(f"sqlite:///{tmp_path / 'records.sqlite'}")
    found = again.jobs.maker_of(["9.9", "1.2.4"])
    again.close()

    assert found.id == job
    assert records.jobs.maker_of(["9.9"]) is None


def test_subjects_are_found_among_many_identifiers(records):
    add_job(records, 1, state=JobState.DONE)
    add_job(records, 2, state=JobState.FAILED)
    identifiers = [f"instance-{n}" for n in range(1200)] + ["series-1", "series-2"]

    assert records.jobs.subjects_among(identifiers, {JobState.DONE}) == {"series-1"}


def test_the_series_of_jobs_to_come_are_known_without_those_of_others(records):
    add_job(records, 1, series_ids=("a", "b"))
    add_job(records, 2, state=JobState.DONE)

    assert records.jobs.series_of({JobState.QUEUED}) == {"a", "b"}


def test_of_each_source_and_priority_the_oldest_ready_job_is_next(records):
    jobs = [add_job(records, n, source=source, priority=priority) for n, (source, priority) in
            enumerate([("A", 2), ("A", 2), ("B", 2), ("A", 1)])]  # fmt: skip

    assert [job.id for job in records.jobs.next_of_each_source(0.0, [])] == [jobs[3], jobs[0], jobs[2]]
    assert records.jobs.next_of_each_source(0.0, [APP]) == []


@pytest.mark.parametrize(("not_before", "ready"), [(99.0, 1), (100.0, 1), (100.5, 0), (400.0, 0), (400.5, 1)])
def test_a_job_is_put_off_for_five_minutes_at_most(records, not_before, ready):
    job = add_job(records)
    records.jobs.move(job, JobState.QUEUED, not_before=not_before)

    assert len(records.jobs.next_of_each_source(100.0, [])) == ready
    assert records.jobs.get(job).is_due(100.0) is bool(ready)


def test_the_beginning_of_an_identifier_is_text_and_no_pattern(records):
    job = add_job(records)

    assert [one.id for one in records.jobs.named(job[:6])] == [job]
    assert records.jobs.named("%") == records.jobs.named("_" * 6) == []


def test_a_jobs_results_and_progress_are_kept(records):
    job = add_job(records)
    records.jobs.stored(job, [{"path": "seg.dcm"}])
    records.jobs.progress(job, "Segment 40%")

    record = records.jobs.get(job)
    assert (record.stored, record.progress) == ([{"path": "seg.dcm"}], "Segment 40%")


def test_whatever_an_app_said_last_can_be_kept(postgres_url):
    records = Records(postgres_url)
    job = add_job(records)
    records.jobs.progress(job, "half\0way")
    records.jobs.move(job, JobState.FAILED, "last words: \0\0")
    kept, history = records.jobs.get(job), records.jobs.history([job])[job]
    records.close()

    assert kept.reason == "last words: \ufffd\ufffd"
    assert [line.event for line in history] == ["queued", "failed"]
