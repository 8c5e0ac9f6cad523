"""Worker: a process of its own runs jobs of a node; what it leaves or loses, others do."""

import signal
import subprocess
import sys

import pytest

from tests.node_under_test import NodeUnderTest, wait_for
from tests.test_node import make_study

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]


class WorkerUnderTest:
    def __init__(self, node: NodeUnderTest) -> None:
        self.log = node.folder / "worker.log"
        command = [sys.executable, "-m", "mapnode", "worker", "--queues", "jobs", "--config", node.config]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(lambda: "ready: " in self.log.read_text(), 60, f"the worker: {self.log.read_text()}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def node(request, tmp_path):
    database = {} if request.param == "sqlite" else {"database": request.getfixturevalue("postgres_url")}
    node = NodeUnderTest(tmp_path / "node", **database)
    node.start()
    yield node
    node.stop()
    node.end_orthanc()


@pytest.fixture
def worker(node):
    worker = WorkerUnderTest(node)
    yield worker
    worker.process.kill()
    worker.process.wait()


def processes(node, kind):
    return [one for one in node.command("status")["processes"] if one["kind"] == kind]


def test_a_worker_shows_itself_and_shares_the_jobs_of_a_node(node, worker, tmp_path):
    (shown,) = processes(node, "worker")
    files = [path for name in "abc" for path in make_study(tmp_path / name, f"study {name}", slices=40)]
    assert node.send(files) == 0
    jobs = node.ended_jobs(3)

    assert (shown["state"], shown["slots"], shown["queues"], shown["pid"]) == ("running", 1, "jobs", worker.process.pid)
    assert [job["state"] for job in jobs] == ["done"] * 3, [job["reason"] for job in jobs]
    assert "computed; waits" in worker.log.read_text()
    assert "computed; waits" in node.log
    assert worker.stop() == 0
    assert [one["state"] for one in processes(node, "worker")] == ["stopped"]


def test_unknown_queues_and_absent_credentials_are_wrong_use(tmp_path):
    config = tmp_path / "mapnode.yaml"
    config.touch()
    for arguments, words in ((["--queues", "other"], "there is no queue other"), ([], "no credentials")):
        command = [sys.executable, "-m", "mapnode", "worker", *arguments, "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, words in done.stderr) == (2, True), done.stderr
