"""The warm workers of a node: as many as runs ask for, as few as memory allows, each on its own."""

import os
import signal
import sys
import threading
import time

import pytest

from mapnode.app_catalogue import App
from mapnode.errors import NodeError
from mapnode.runners import memory, warm
from mapnode.runners import worker as worker_module
from mapnode.runners.child import Child
from mapnode.runners.warm import NodeStopping, WarmWorkers, WorkerLost
from operators.core.contract import Job, Status
from operators.core.manifest import read_manifest
from tests.mapnode.runners.toy import ENOUGH_S, LOOP, MANIFEST, PREAMBLE, is_gone
from tests.node_under_test import wait_for

GIB = 2**30
IN_RUN = """
    if os.path.exists(os.path.join(source, 'hold')):
        kept.append(bytearray(int(open(os.path.join(source, 'hold')).read())))
    while os.path.exists(os.path.join(source, 'wait')):
        say(operator='Load', fraction=0.5); time.sleep(0.01)
    if os.path.exists(os.path.join(source, 'crash')):
        os.kill(os.getpid(), 9)
    result(timings_s={'runs': runs}); finish()
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Makes pools; each is stopped. Their workers run a few lines of Python."""
    script = tmp_path / "worker.py"
    script.write_text(PREAMBLE + "kept = []\n" + LOOP + IN_RUN)
    monkeypatch.setattr(worker_module, "Child", lambda _, variables: Child([sys.executable, str(script)], variables))
    monkeypatch.setattr(warm, "WATCH_S", 0.05)
    made = []

    def make(**settings) -> WarmWorkers:
        made.append(WarmWorkers(**settings))
        return made[-1]

    yield make
    for workers in made:
        workers.stop()


def app(name: str, tmp_path, memory_text: str = "1Gi") -> App:
    manifest = read_manifest(MANIFEST)
    part = manifest.application.model_copy(update={"title": name})
    resources = manifest.resources.model_copy(update={"memory": memory_text})
    return App(tmp_path, manifest.model_copy(update={"application": part, "resources": resources}))


class Run:
    """One run in a thread of its own, which waits until it is let go."""

    def __init__(self, workers, one, folder, *, waits=False, **files):
        self.source, target = folder / "in", folder / "out"
        self.source.mkdir(parents=True)
        target.mkdir()
        for name, content in files.items():
            (self.source / name).write_text(str(content))
        if waits:
            (self.source / "wait").touch()
        self.result = self.error = None
        self.begun = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(workers, one, target))
        self.thread.start()
        if waits:
            assert self.begun.wait(ENOUGH_S)

    def _run(self, workers, one, target):
        try:
            self.result = workers.of(one).run(
                self.source, target, Job(), timeout_s=ENOUGH_S, on_progress=lambda _: self.begun.set()
            )
        except NodeError as error:
            self.error = error

    def end(self):
        (self.source / "wait").unlink(missing_ok=True)
        self.thread.join()
        return self.result


def pids(workers):
    return {row["app"]: row["pid"] for row in workers.describe()}


def test_runs_of_one_app_one_after_another_share_a_process(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)

    results = [Run(workers, toy, tmp_path / str(n)).end() for n in range(3)]

    assert [r.timings_s["runs"] for r in results] == [1, 2, 3]
    assert [row["runs"] for row in workers.describe()] == [3]


def test_runs_of_one_app_at_the_same_time_have_a_process_each(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)
    running = [Run(workers, toy, tmp_path / str(n), waits=True) for n in range(2)]

    states = [row["state"] for row in workers.describe()]

    assert states == ["busy", "busy"]
    assert [run.end().status for run in running] == [Status.DONE] * 2
    assert Run(workers, toy, tmp_path / "third").end().timings_s == {"runs": 2}


def test_crash_of_one_worker_leaves_the_others_alone(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)
    running = Run(workers, toy, tmp_path / "runs", waits=True)

    crashed = Run(workers, toy, tmp_path / "crashes", crash="")
    crashed.end()

    assert isinstance(crashed.error, WorkerLost)
    assert running.end().status is Status.DONE
    assert len(workers.describe()) == 1


def test_idle_worker_ends_after_its_time_and_a_busy_one_does_not(make, tmp_path):
    workers = make(idle_s=0.2)
    busy = Run(workers, app("busy", tmp_path), tmp_path / "busy", waits=True)
    Run(workers, app("idle", tmp_path), tmp_path / "idle").end()

    wait_for(lambda: set(pids(workers)) == {"busy"}, ENOUGH_S, "the idle worker to end")

    assert busy.end().status is Status.DONE


def test_least_recently_used_worker_ends_where_another_app_needs_its_memory(make, tmp_path):
    workers = make(memory_bytes=GIB + 2**28)
    for name in ("first", "second"):
        Run(workers, app(name, tmp_path), tmp_path / name, hold=150_000_000).end()
    Run(workers, app("first", tmp_path), tmp_path / "again").end()

    Run(workers, app("third", tmp_path), tmp_path / "third").end()

    assert set(pids(workers)) == {"first", "third"}


def test_run_larger_than_the_whole_budget_still_runs(make, tmp_path):
    workers, large = make(memory_bytes=GIB), app("large", tmp_path, "8Gi")

    assert not workers.has_room_for(large)
    assert Run(workers, large, tmp_path / "run").end().status is Status.DONE


def test_room_is_what_runs_under_way_leave(make, tmp_path):
    workers, toy = make(memory_bytes=2 * GIB + 1), app("toy", tmp_path)
    first = Run(workers, toy, tmp_path / "first", waits=True)
    room_beside_one = workers.has_room_for(toy)
    second = Run(workers, toy, tmp_path / "second", waits=True)
    room_beside_two = workers.has_room_for(toy)
    first.end()
    second.end()

    assert (room_beside_one, room_beside_two, workers.has_room_for(toy)) == (True, False, True)


def test_idle_workers_end_one_after_another_while_the_machine_is_short_of_memory(make, tmp_path, monkeypatch):
    workers = make()
    for name in ("first", "second"):
        Run(workers, app(name, tmp_path), tmp_path / name).end()
    monkeypatch.setattr(warm, "available_memory_bytes", lambda: 0)

    assert wait_for(lambda: not workers.describe(), ENOUGH_S, "the idle workers to end")


def test_worker_that_outgrew_its_manifest_is_replaced_before_the_next_run(make, tmp_path):
    workers, small = make(), app("small", tmp_path, "100Mi")
    Run(workers, small, tmp_path / "grows", hold=150_000_000).end()
    grown = pids(workers)["small"]

    result = Run(workers, small, tmp_path / "next").end()

    assert result.timings_s == {"runs": 1}
    assert is_gone(grown)


def test_description_names_process_state_memory_runs_and_start(make, tmp_path):
    workers, before = make(), time.time()
    Run(workers, app("toy", tmp_path), tmp_path / "run", hold=50_000_000).end()

    (row,) = workers.describe()

    assert (row["app"], row["state"], row["runs"]) == ("toy", "idle", 1)
    assert 48 < row["rss_mb"] < 1000
    assert before <= row["since"] <= time.time()
    assert not is_gone(row["pid"])


def test_warmed_up_worker_takes_the_first_run(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)
    workers.of(toy).warm_up()
    warmed = pids(workers)["toy"]

    Run(workers, toy, tmp_path / "run").end()

    assert pids(workers) == {"toy": warmed}


def test_stop_ends_all_and_starts_none_any_more(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)
    running = Run(workers, toy, tmp_path / "runs", waits=True)
    pid = pids(workers)["toy"]

    workers.stop()
    running.end()

    assert isinstance(running.error, WorkerLost)
    assert (is_gone(pid), workers.describe()) == (True, [])
    with pytest.raises(NodeStopping):
        workers.of(toy)


def test_killed_idle_worker_is_replaced_in_silence(make, tmp_path):
    workers, toy = make(), app("toy", tmp_path)
    Run(workers, toy, tmp_path / "first").end()
    os.kill(pids(workers)["toy"], signal.SIGKILL)
    wait_for(lambda: not workers.describe(), ENOUGH_S, "the process to be gone")

    assert Run(workers, toy, tmp_path / "second").end().status is Status.DONE


@pytest.mark.parametrize(
    ("text", "expected"), [("512Mi", 512 * 2**20), ("4Gi", 4 * GIB), ("1.5G", 1_500_000_000), ("2048", 2048)]
)
def test_memory_of_a_manifest_in_bytes(text, expected):
    assert memory.parse_memory(text) == expected


def test_container_with_less_memory_than_its_machine_counts_what_it_has(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "CONTROL_GROUP_LIMIT", limit)
    limit.write_text("max\n")
    whole = memory.machine_memory_bytes()
    limit.write_text("1048576\n")

    assert memory.machine_memory_bytes() == 1048576 < whole
    assert memory.available_memory_bytes() > 0


def test_memory_of_a_process_that_is_gone_is_nothing():
    assert memory.own_memory_bytes(2**22 + 1) == 0
    assert memory.own_memory_bytes(os.getpid()) > 2**20
