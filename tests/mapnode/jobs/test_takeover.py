"""Takeover: what a process that is gone had begun goes on in another one, once; one that comes back leaves no trace."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dbos import DBOSClient

from mapnode.database import open_database, place_of
from mapnode.jobs.executors import Roll
from tests.node_under_test import wait_for

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOY = Path(__file__).with_name("toy_worker.py")
ENDED = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}


class Toys:
    """Processes with the toy workflow on one database."""

    def __init__(self, var: Path, url: str | None) -> None:
        self.var = var
        self.url = url
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.place = place_of(var, url)
        self.engine = open_database(self.place.records)
        self.roll = Roll(self.engine)

    def start(self, name: str) -> None:
        command = [sys.executable, str(TOY), str(self.var), name, *([self.url] if self.url else [])]
        with (self.var / "log").open("a") as log:
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self.processes[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.wait_for(name, "ready", "-")

    def send(self, name: str, what: signal.Signals) -> None:
        self.processes[name].send_signal(what)
        if what is signal.SIGKILL:
            self.processes[name].wait()

    @contextlib.contextmanager
    def client(self):
        client = DBOSClient(system_database_url=self.place.jobs_url, application_name="mapnode")
        try:
            yield client
        finally:
            client.destroy()

    def enqueue(self, job: str) -> None:
        with self.client() as client:
            client.enqueue({"workflow_name": "toy", "queue_name": "toys", "workflow_id": job, "app_version": "1"})

    def status(self, job: str):
        with self.client() as client:
            (found,) = client.list_workflows(workflow_ids=[job])
            return found

    def diary(self) -> list[str]:
        path = self.var / "diary"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, name: str, what: str, job: str) -> None:
        wait_for(
            lambda: f"{name} {what} {job}" in self.diary(),
            30,
            f"{name} {what} {job}: {self.diary()}; {(self.var / 'log').read_text()[-3000:]}",
        )

    def wait_for_end(self, job: str):
        return wait_for(
            lambda: found if (found := self.status(job)).status in ENDED else None,
            30,
            f"the end of {job}: {self.diary()}",
        )

    def go(self) -> None:
        (self.var / "go").touch()

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def toys(request, tmp_path):
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    toys = Toys(tmp_path, url)
    yield toys
    toys.close()


@pytest.fixture
def begun(toys):
    """A job in the middle of its second step in process a; process b waits for work."""
    toys.start("a")
    toys.enqueue("job")
    toys.wait_for("a", "waits", "job")
    toys.start("b")
    return toys


def about(toys, job="job"):
    return [line.rsplit(" ", 1)[0] for line in toys.diary() if line.endswith(f" {job}")]


def test_a_job_of_a_killed_process_goes_on_in_another_one_after_its_last_step(begun):
    begun.send("a", signal.SIGKILL)
    begun.wait_for("b", "waits", "job")
    begun.go()

    ended = begun.wait_for_end("job")
    assert (ended.status, ended.output, ended.queue_name, ended.recovery_attempts) == ("SUCCESS", "b", "toys", 2)
    assert about(begun) == ["a first", "a waits", "b waits", "b stores", "b last"]


def test_a_process_that_slept_too_long_stores_nothing_when_it_wakes_and_works_on(begun):
    begun.send("a", signal.SIGSTOP)
    begun.wait_for("b", "waits", "job")
    begun.go()
    ended = begun.wait_for_end("job")
    begun.send("a", signal.SIGCONT)
    begun.wait_for("a", "lost", "job")

    assert (ended.status, ended.output) == ("SUCCESS", "b")
    assert about(begun) == ["a first", "a waits", "b waits", "b stores", "b last", "a lost"]
    begun.send("b", signal.SIGKILL)
    begun.enqueue("next")
    assert begun.wait_for_end("next").output == "a"
    wait_for(lambda: [one.state for one in begun.roll.all()] == ["running", "dead"], 10, "a to be alive, b dead")


def test_a_process_that_wakes_while_its_job_is_done_elsewhere_stores_nothing(begun):
    begun.send("a", signal.SIGSTOP)
    begun.wait_for("b", "waits", "job")
    begun.send("a", signal.SIGCONT)
    wait_for(lambda: [one.state for one in begun.roll.all()] == ["running", "running"], 10, "a to be back")
    begun.go()

    assert begun.wait_for_end("job").output == "b"
    begun.wait_for("a", "lost", "job")
    assert [line for line in about(begun) if line.startswith("a")] == ["a first", "a waits", "a lost"]


def test_a_process_that_ends_hands_back_what_it_did_not_finish(begun):
    begun.send("a", signal.SIGTERM)
    begun.wait_for("b", "waits", "job")
    begun.go()

    assert begun.wait_for_end("job").output == "b"
    assert [(one.state, one.kind) for one in begun.roll.all()] == [("stopped", "worker"), ("running", "worker")]


def test_a_process_that_starts_alone_takes_over_what_the_last_one_left(toys):
    toys.start("a")
    toys.enqueue("job")
    toys.wait_for("a", "waits", "job")
    toys.send("a", signal.SIGKILL)
    toys.go()
    toys.start("b")

    assert toys.wait_for_end("job").output == "b"
    assert about(toys) == ["a first", "a waits", "b waits", "b stores", "b last"]


def test_nobody_takes_a_job_from_a_process_that_works_long(begun):
    with (begun.var / "log").open() as log:
        # Far more looks than would give up a silent process.
        before = {one.id: one.beats for one in begun.roll.all()}
        wait_for(lambda: all(one.beats >= before[one.id] + 30 for one in begun.roll.all()), 120, "heartbeats")
        begun.go()

        assert begun.wait_for_end("job").output == "a"
        assert "taken over" not in log.read()


def test_a_cancelled_job_stores_nothing(toys):
    toys.start("a")
    toys.enqueue("job")
    toys.wait_for("a", "waits", "job")
    with toys.client() as client:
        client.cancel_workflow("job")
    toys.go()
    toys.wait_for("a", "lost", "job")

    assert about(toys) == ["a first", "a waits", "a lost"]
    assert toys.status("job").status == "CANCELLED"


def test_a_job_that_kills_its_process_again_and_again_is_given_up(begun):
    for dying, next_one in ("ab", "bc", "cd"):
        begun.send(dying, signal.SIGKILL)
        if next_one != "b":
            begun.start(next_one)
        if next_one != "d":
            begun.wait_for(next_one, "waits", "job")

    ended = begun.wait_for_end("job")
    assert (ended.status, ended.recovery_attempts) == ("MAX_RECOVERY_ATTEMPTS_EXCEEDED", 4)
    assert about(begun) == ["a first", "a waits", "b waits", "c waits"]


@pytest.mark.postgres
def test_jobs_go_on_when_postgresql_was_killed_and_started_again(postgres_server, postgres_url, tmp_path):
    toys = Toys(tmp_path, postgres_url)
    try:
        toys.start("a")
        toys.enqueue("job")
        toys.wait_for("a", "waits", "job")
        postgres_server.kill()
        toys.go()
        postgres_server.start()

        assert toys.wait_for_end("job").output == "a"
        assert about(toys) == ["a first", "a waits", "a stores", "a last"]
    finally:
        toys.close()
