"""Coordinator: nothing that it was told is lost, and nothing that is wrong keeps the rest from going on."""

import logging
import sqlite3
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from mapnode.coordinator import Coordinator
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.events import InstanceEvent
from mapnode.records import JobState
from mapnode.records.requests import RequestKind
from mapnode.records.switches import app_switch
from tests.mapnode.engine import APP, add_job


class FakeIntake:
    """Takes what it is told, or raises."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.forced: list[str] = []
        self.errors: list[Exception] = []
        self.decided = False

    def take(self, events) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.took += [one.id for one in events]

    def decide_settled(self) -> bool:
        return self.decided

    def next_look_s(self) -> float:
        return 0.0

    def force(self, series_id: str) -> None:
        self.forced.append(series_id)

    def adopt(self) -> None:
        pass

    def forget(self) -> None:
        pass


class FakeRunner:
    def __init__(self) -> None:
        self.under_way: set[str] = set()
        self.given_up: set[str] = set()

    def is_under_way(self, workflow: str) -> bool:
        return workflow in self.under_way

    def is_given_up(self, workflow: str) -> bool:
        return workflow in self.given_up


class FakePublisher:
    def __init__(self) -> None:
        self.released: list[str] = []

    def tick(self) -> int:
        return 0

    def release(self, job, _: str) -> bool:
        self.released.append(job.id)
        return True

    def times_published(self, _: str) -> int:
        return 1


class FakeClient:
    def __init__(self) -> None:
        self.found: dict[str, list] = {}
        self.down = False

    def lookup(self, uid: str) -> list:
        if self.down:
            raise OrthancUnreachable("http://127.0.0.1", "ConnectError")
        return self.found.get(uid, [])

    def study(self, _: str):
        return SimpleNamespace(series_ids=("s1", "s2"))


@pytest.fixture
def node(records):
    intake, runner, publisher, client = FakeIntake(), FakeRunner(), FakePublisher(), FakeClient()
    woken = []
    scheduler = SimpleNamespace(tick=lambda: 0, wake=lambda: woken.append(True))
    coordinator = Coordinator(records, client, intake, scheduler, publisher, runner, lambda: None)
    return SimpleNamespace(
        coordinator=coordinator, intake=intake, runner=runner, publisher=publisher, client=client, woken=woken
    )


def look(node) -> None:
    node.coordinator._due = dict.fromkeys(node.coordinator._due, 0.0)
    node.coordinator._look()


def event(instance_id: str) -> InstanceEvent:
    return InstanceEvent(id=instance_id, at=0.0, series_id="series")


def locked() -> OperationalError:
    return OperationalError("INSERT", {}, Exception("database is locked"))


# what it is told


def test_instances_and_messages_are_taken_in_their_order(node):
    for one in (event("a"), event("b"), lambda intake: intake.took.append("message"), event("c")):
        node.coordinator.tell(one)

    look(node)

    assert node.intake.took == ["a", "b", "message", "c"]


def test_instances_that_could_not_be_stored_are_taken_with_the_next_look(node):
    node.intake.errors = [locked()]
    node.coordinator.tell(event("a"))

    with pytest.raises(OperationalError):
        look(node)
    node.coordinator.tell(event("b"))
    look(node)

    assert node.intake.took == ["a", "b"]


def test_a_full_disk_is_told_once_and_waited_for(node, caplog):
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    node.intake.errors = [OperationalError("INSERT", {}, full) for _ in range(3)]
    node.coordinator.tell(event("a"))

    node.coordinator.run(SimpleNamespace(is_set=lambda: bool(node.intake.took), wait=lambda _: None))

    assert node.intake.took == ["a"]
    assert [record.getMessage() for record in caplog.records] == [
        "the records cannot be written, waiting: database or disk is full"
    ]


def test_a_position_behind_instances_that_could_not_be_stored_is_not_saved(node):
    node.intake.errors = [locked()]
    node.coordinator.tell(event("a"))
    node.coordinator.tell(lambda intake: intake.took.append("position"))

    with pytest.raises(OperationalError):
        look(node)

    assert node.intake.took == []


def test_a_message_that_fails_takes_nothing_else_with_it(node, caplog):
    def fail(_):
        raise ValueError("no luck")

    for one in (event("a"), fail, event("b")):
        node.coordinator.tell(one)

    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        look(node)

    assert node.intake.took == ["a", "b"]


def test_a_job_that_was_just_made_does_not_wait_for_the_schedulers_next_look(node):
    node.intake.decided = True

    look(node)

    assert node.woken


# after kills


def test_a_job_that_was_moved_to_running_and_never_enqueued_is_queued_again(node, records):
    job = add_job(records, state=JobState.RUNNING)

    node.coordinator.reconcile()

    assert records.jobs.state(job) is JobState.QUEUED


def test_a_job_that_was_moved_to_publishing_and_never_begun_waits_again(node, records):
    job = add_job(records, state=JobState.PUBLISHING)

    node.coordinator.reconcile()

    assert records.jobs.state(job) is JobState.WAITING


def test_what_dbos_will_bring_to_its_end_is_left_alone(node, records):
    running, publishing = add_job(records, 1, state=JobState.RUNNING), add_job(records, 2, state=JobState.PUBLISHING)
    node.runner.under_way = {f"{running}.0", f"{publishing}.publish.1"}

    node.coordinator.reconcile()

    assert records.jobs.state(running) is JobState.RUNNING
    assert records.jobs.state(publishing) is JobState.PUBLISHING


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.PUBLISHING])
def test_a_job_that_ended_its_process_again_and_again_is_not_begun_once_more(node, records, state):
    job = add_job(records, state=state)
    node.runner.given_up = {f"{job}.0", f"{job}.publish.1"}

    node.coordinator.reconcile()

    record = records.jobs.get(job)
    assert record.state is JobState.QUARANTINED
    assert "ends the node's process" in record.reason


# requests


def ask(records, kind, **argument) -> int:
    return records.requests.add(kind, **argument)


def test_a_request_is_done_once_and_removed(node, records):
    job = add_job(records)
    request = ask(records, RequestKind.CANCEL, job=job)

    look(node)

    assert records.jobs.state(job) is JobState.CANCELLED
    assert not records.requests.waits(request)


def test_a_shadow_job_is_released(node, records):
    job = add_job(records, state=JobState.SHADOW)
    ask(records, RequestKind.RELEASE, job=job)

    look(node)

    assert node.publisher.released == [job]


def test_a_job_of_an_app_that_is_switched_off_is_not_released_and_who_asks_hears_the_way_out(node, records):
    job = add_job(records, state=JobState.SHADOW)
    records.switches.off(app_switch(APP), "wrong numbers")
    request = ask(records, RequestKind.RELEASE, job=job)

    look(node)

    assert (node.publisher.released, records.jobs.state(job)) == ([], JobState.SHADOW)
    assert records.requests.take_error(request) == (
        f"{APP} is switched off: wrong numbers; `mapnode resume --app {APP}` switches it on again"
    )


def test_a_rerun_forces_every_series_of_a_study(node, records):
    node.client.found = {"1.2": [SimpleNamespace(id="study", type="Study")]}
    ask(records, RequestKind.RERUN, uids=["1.2"])

    look(node)

    assert node.intake.forced == ["s1", "s2"]


def test_a_rerun_of_what_orthanc_has_not_forces_nothing_and_says_so(node, records):
    node.client.found = {"1.2": [SimpleNamespace(id="study", type="Study")]}
    request = ask(records, RequestKind.RERUN, uids=["1.2", "1.3"])

    look(node)

    assert not records.requests.waits(request)
    assert records.requests.take_error(request).startswith("Orthanc has no study or series with the UID 1.3")
    assert node.intake.forced == []


def test_a_rerun_waits_for_an_orthanc_that_is_silent(node, records):
    node.client.down = True
    request = ask(records, RequestKind.RERUN, uids=["1.2"])

    look(node)

    assert records.requests.waits(request)


def test_why_a_request_was_not_done_is_told_once(node, records):
    request = ask(records, RequestKind.RERUN)

    look(node)

    assert "its log says more" in records.requests.take_error(request)
    assert records.requests.take_error(request) == ""


def test_a_request_that_makes_no_sense_blocks_nobody_behind_it(node, records, caplog):
    job = add_job(records)
    ask(records, RequestKind.RERUN)
    ask(records, RequestKind.CANCEL, job=job)

    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        look(node)

    assert records.jobs.state(job) is JobState.CANCELLED
    assert records.requests.all() == []


def test_a_failed_job_is_tried_again_at_once_on_demand(node, records):
    job = add_job(records, state=JobState.FAILED)
    ask(records, RequestKind.RETRY, job=job)

    look(node)

    assert records.jobs.state(job) is JobState.QUEUED
    assert node.woken


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.WAITING, JobState.SHADOW, JobState.DONE])
def test_a_job_that_another_one_took_the_place_of_is_not_tried_again(node, records, state):
    job = add_job(records, 1, state=JobState.RECALLED)
    add_job(records, 1, state=state, identity="a" * 64, attempt=1)
    ask(records, RequestKind.RETRY, job=job)

    look(node)

    assert records.jobs.state(job) is JobState.RECALLED
