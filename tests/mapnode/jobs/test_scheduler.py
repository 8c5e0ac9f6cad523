"""Scheduler: urgent jobs first, sources in turn, as much as fits, and nothing that blocks the rest for ever."""

import datetime
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.jobs import scheduler as module
from mapnode.jobs.hours import Hours
from mapnode.jobs.scheduler import Capacity, Scheduler
from mapnode.records import JobState, Records
from mapnode.records import jobs as job_records
from mapnode.records.switches import JOBS, app_switch
from tests.mapnode.engine import APP, Clock, add_job, make_app

GIB = 2**30
STAT, ROUTINE, RESEARCH = 1, 2, 3


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for reader in (module, job_records):
        monkeypatch.setattr(reader, "time", clock)
    return clock


@pytest.fixture
def make_scheduler(records, clock, monkeypatch):
    """Makes a scheduler over apps; `started` has the jobs in their order."""

    def make(*, slots=1, gpus=0, gib=100, apps=(), hours=None):
        found = [*apps, make_app()]
        monkeypatch.setattr(module, "list_apps", lambda: found)
        started = []
        capacity = Capacity(slots, gpus, gib * GIB)
        return Scheduler(records, lambda: capacity, lambda job: started.append(job.id), lambda _: False, hours), started

    return make


def run_all(scheduler, records, started, clock) -> list[str]:
    """Start one after the other until nothing starts any more."""
    while scheduler.tick():
        for job in records.jobs.in_states({JobState.RUNNING}):
            records.jobs.move(job.id, JobState.DONE)
        clock.now += 1
    return started


def test_a_job_that_starts_is_running_with_its_reason_and_its_try(make_scheduler, records):
    scheduler, started = make_scheduler()
    job = add_job(records)

    scheduler.tick()

    record = records.jobs.get(job)
    assert started == [job]
    assert (record.state, record.tries) == (JobState.RUNNING, 1)
    assert record.reason == "a slot is free; next of priority 2 from CT1, try 1"


def test_a_job_is_running_in_the_records_before_anything_is_begun(records, clock, monkeypatch):
    monkeypatch.setattr(module, "list_apps", lambda: [make_app()])
    seen = []

    def start(job):
        seen.append((job.state, job.tries, records.jobs.state(job.id)))

    scheduler = Scheduler(records, lambda: Capacity(1, 0, GIB), start, lambda _: False, None)
    add_job(records)

    scheduler.tick()

    assert seen == [(JobState.RUNNING, 1, JobState.RUNNING)]


def test_a_job_waits_until_its_last_run_has_noticed_that_it_was_called_back(records, clock, monkeypatch):
    monkeypatch.setattr(module, "list_apps", lambda: [make_app()])
    started, under_way = [], set()

    def start(job):
        started.append(job.id)
        under_way.add(job.last_run)

    capacity = Capacity(2, 0, 100 * GIB)
    scheduler = Scheduler(records, lambda: capacity, start, under_way.__contains__, None)
    job, other = add_job(records, 1), add_job(records, 2, source="CT2")
    scheduler.tick()
    records.jobs.move(job, JobState.CANCELLED)
    records.jobs.move(job, JobState.QUEUED)
    scheduler.wake()
    scheduler.tick()
    during = list(started)
    under_way.remove(f"{job}.1")
    scheduler.wake()
    scheduler.tick()

    assert during == [job, other]
    assert started == [job, other, job]


def test_as_many_run_as_there_are_slots(make_scheduler, records):
    scheduler, started = make_scheduler(slots=2)
    for number in range(5):
        add_job(records, number)

    scheduler.tick()

    assert len(started) == 2
    assert records.jobs.counts() == {"running": 2, "queued": 3}


def test_stat_goes_before_routine_before_research(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    jobs = [add_job(records, n, priority=p) for n, p in enumerate((RESEARCH, ROUTINE, STAT))]

    assert run_all(scheduler, records, started, clock) == jobs[::-1]


def test_a_source_with_many_jobs_does_not_keep_another_one_waiting(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    many = [add_job(records, n, source="CT1") for n in range(4)]
    late = [add_job(records, n, source="CT2") for n in range(4, 6)]

    assert run_all(scheduler, records, started, clock) == [many[0], late[0], many[1], late[1], many[2], many[3]]


@given(sources=st.lists(st.sampled_from(["A", "B", "C"]), min_size=2, max_size=12))
def test_no_source_waits_for_two_starts_of_another_one(sources):
    records = Records("sqlite://")
    jobs = {add_job(records, n, source=source): source for n, source in enumerate(sources)}
    scheduler, started = (
        Scheduler(records, lambda: Capacity(1, 0, GIB), lambda job: started.append(job.id), lambda _: False, None),
        [],
    )
    while True:
        scheduler.wake()
        if not scheduler.tick():
            break
        records.jobs.move(started[-1], JobState.DONE)
    records.close()

    order = [jobs[job] for job in started]
    assert len(order) == len(sources)
    for at, source in enumerate(order):
        since = order[max((n for n in range(at) if order[n] == source), default=-1) + 1 : at]
        assert all(since.count(other) <= 1 for other in set(since))


def test_a_paused_node_starts_nothing_and_goes_on_after_it(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    add_job(records)
    records.switches.off(JOBS, "maintenance")
    scheduler.tick()
    before = list(started)
    records.switches.on(JOBS)
    clock.now += 1
    scheduler.tick()

    assert (before, len(started)) == ([], 1)


def test_the_kill_switch_of_an_app_stops_that_app_alone(make_scheduler, records, clock):
    scheduler, started = make_scheduler(apps=[make_app("other")])
    killed, other = add_job(records, 1), add_job(records, 2, app="other")
    records.switches.off(app_switch(APP), "wrong numbers")

    assert run_all(scheduler, records, started, clock) == [other]
    assert records.jobs.state(killed) is JobState.QUEUED


def test_the_kill_switch_holds_for_an_image_that_the_node_has_not_found_yet(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    job = add_job(records, app="registry/image:1")
    records.switches.off(app_switch("registry/image:1"), "wrong numbers")

    assert run_all(scheduler, records, started, clock) == []
    assert records.jobs.state(job) is JobState.QUEUED


def test_a_job_that_was_put_off_starts_when_its_time_has_come(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    job = add_job(records)
    records.jobs.move(job, JobState.QUEUED, "tried again later", not_before=clock.time() + 30)
    scheduler.tick()
    before = list(started)
    clock.now += 31
    scheduler.tick()

    assert (before, started) == ([], [job])


def test_a_clock_that_is_set_back_puts_nothing_off_for_longer(make_scheduler, records, clock):
    scheduler, started = make_scheduler()
    job = add_job(records)
    records.jobs.move(job, JobState.QUEUED, "tried again later", not_before=clock.time() + 7200)

    scheduler.tick()

    assert started == [job]


def test_research_waits_for_its_hours_and_the_others_do_not(make_scheduler, records, clock):
    never = Hours(datetime.time(0, 0), datetime.time(0, 1))
    if never.now():
        never = Hours(datetime.time(12, 0), datetime.time(12, 1))
    scheduler, started = make_scheduler(hours=never)
    add_job(records, 1, priority=RESEARCH)
    routine = add_job(records, 2)

    assert run_all(scheduler, records, started, clock) == [routine]


def test_jobs_take_no_more_memory_together_than_there_is(make_scheduler, records):
    scheduler, started = make_scheduler(slots=4, gib=2)
    for number in range(4):
        add_job(records, number)

    scheduler.tick()

    assert len(started) == 2


def test_a_large_job_lets_small_ones_of_others_pass_and_then_they_wait_for_it(make_scheduler, records, clock):
    scheduler, started = make_scheduler(slots=9, gib=4, apps=[make_app("large", memory="4Gi")])
    small = add_job(records, 1, source="CT1")
    scheduler.tick()
    large = add_job(records, 2, source="CT2", app="large")
    second = add_job(records, 3, source="CT1")
    clock.now += 1
    scheduler.wake()
    scheduler.tick()
    clock.now += module.PATIENCE_S + 1
    third = add_job(records, 4, source="CT1")
    scheduler.wake()
    scheduler.tick()
    before = list(started)
    for job in (small, second):
        records.jobs.move(job, JobState.DONE)
    run_all(scheduler, records, started, clock)

    assert before == [small, second]
    assert started == [small, second, large, third]


def test_a_large_job_from_before_the_clock_was_set_back_has_waited_long(make_scheduler, records, clock):
    scheduler, started = make_scheduler(slots=9, gib=4, apps=[make_app("large", memory="4Gi")])
    first = add_job(records, 1, source="CT1")
    scheduler.tick()
    add_job(records, 2, source="CT2", app="large")
    clock.now -= 3600
    add_job(records, 3, source="CT1")

    scheduler.wake()
    scheduler.tick()

    assert started == [first]


def test_a_job_larger_than_the_machine_runs_alone_and_blocks_nobody(make_scheduler, records, clock):
    scheduler, started = make_scheduler(slots=2, gib=2, apps=[make_app("huge", memory="64Gi")])
    huge, small = add_job(records, 1, source="CT1", app="huge"), add_job(records, 2, source="CT2")
    clock.now += module.PATIENCE_S + 1
    scheduler.tick()
    alone = list(started)
    records.jobs.move(huge, JobState.DONE)

    assert run_all(scheduler, records, started, clock) == [huge, small]
    assert alone == [huge]


def test_a_job_for_a_gpu_that_the_node_has_not_blocks_nobody(make_scheduler, records, clock, caplog):
    scheduler, started = make_scheduler(apps=[make_app("gpu", gpu=1)])
    waiting = add_job(records, 1, app="gpu")
    other = add_job(records, 2)
    clock.now += module.PATIENCE_S + 1

    with caplog.at_level(logging.WARNING, logger="mapnode"):
        assert run_all(scheduler, records, started, clock) == [other]

    assert records.jobs.state(waiting) is JobState.QUEUED
    assert caplog.text.count("jobs of gpu wait: it needs a GPU, and the node has none (gpus)") == 1


def test_a_job_of_an_app_that_is_gone_ends_with_its_reason_instead_of_blocking_its_source(
    make_scheduler, records, clock
):
    scheduler, started = make_scheduler()
    jobs = [add_job(records, 1, app="removed"), add_job(records, 2)]

    assert run_all(scheduler, records, started, clock) == jobs


def test_without_room_on_the_disk_nothing_starts(make_scheduler, records):
    scheduler, started = make_scheduler(slots=0, gib=0)
    add_job(records)

    scheduler.tick()

    assert started == []


def test_a_job_that_was_called_back_between_choice_and_start_does_not_start(make_scheduler, records, monkeypatch):
    scheduler, started = make_scheduler()
    job = add_job(records)
    known = records.jobs.move

    def recalled_first(*arguments, **more):
        known(job, JobState.RECALLED, "another instance came")
        return known(*arguments, **more)

    monkeypatch.setattr(records.jobs, "move", recalled_first)
    scheduler.tick()

    assert started == []
    assert records.jobs.state(job) is JobState.RECALLED
