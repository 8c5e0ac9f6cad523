"""Gate: closed by the node or the disk, never full, never flapping; HTTP and results have allowances."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mapnode_plugin import gate as module
from mapnode_plugin.gate import DiskWatch, Gate, Limits

from tests.orthanc.fakes import eventually


@pytest.fixture
def disk(monkeypatch):
    """A disk whose free bytes the test sets; None: it does not answer."""
    disk = SimpleNamespace(free=10_000, looks=0)

    def statvfs(_folder):
        disk.looks += 1
        if disk.free is None:
            raise OSError
        return SimpleNamespace(f_bavail=disk.free, f_frsize=1)

    monkeypatch.setattr(module.os, "statvfs", statvfs)
    return disk


@pytest.fixture
def log():
    return []


@pytest.fixture
def gate(disk, log, tmp_path):
    return Gate(str(tmp_path / "storage"), Limits(intake=1000, results=100), log.append)


@pytest.fixture
def allowed(tmp_path):
    """What Orthanc's filter for HTTP reads: bytes from outside, and of results; None: nothing."""

    def read(path: Path):
        return int(path.read_text()) if path.exists() else None

    return lambda: tuple(read(tmp_path / "storage-gate" / name) for name in ("intake", "results"))


def look(gate, disk, free):
    disk.free = free
    gate.look()
    return gate.admits(0)


def test_it_is_open_with_room(gate, log):
    assert gate.admits(500)
    assert gate.state() == {"closed": False, "by_node": False, "by_disk": False, "reason": "", "free_bytes": 9500}
    assert log == []


def test_the_node_closes_and_opens_it(gate):
    gate.set(closed=True, reason="drained")
    assert not gate.admits(1)
    assert (gate.state()["closed"], gate.state()["reason"]) == (True, "drained")
    gate.set(closed=False)
    assert gate.admits(1)
    assert gate.state()["reason"] == ""


def test_the_disk_closes_it_and_opens_it_only_with_some_more_room(gate, disk, log):
    assert look(gate, disk, 1000)
    assert not look(gate, disk, 999)
    assert not look(gate, disk, 1050)
    assert look(gate, disk, 1100)
    assert look(gate, disk, 1050)
    assert ["closed" in line for line in log] == [True, False]


def test_opening_it_makes_no_room(gate, disk):
    assert not look(gate, disk, 999)
    gate.set(closed=False)
    assert not gate.admits(1)


def test_what_came_since_the_last_look_counts(gate, disk):
    assert not gate.admits(9001)
    assert gate.admits(9000)
    assert not gate.admits(1)
    gate.look()
    assert gate.admits(1)
    assert disk.looks == 2


def test_a_disk_that_does_not_answer_has_no_room(gate, disk):
    assert not look(gate, disk, None)
    assert look(gate, disk, 5000)


def test_over_http_comes_in_what_leaves_the_reserve_of_the_disk(gate, disk, allowed):
    assert allowed() == (9000, 9900)
    look(gate, disk, 5000)
    assert allowed() == (4000, 4900)


def test_results_come_in_through_a_closed_gate_down_to_their_reserve(gate, disk, allowed):
    gate.set(closed=True)
    assert allowed() == (None, 9900)
    look(gate, disk, 150)
    assert allowed() == (None, 50)
    look(gate, disk, 100)
    assert allowed() == (None, None)
    look(gate, disk, 10_000)
    assert allowed() == (None, 9900)
    gate.set(closed=False)
    assert allowed() == (9000, 9900)


def test_the_watch_sees_a_disk_that_fills_up(gate, disk, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.001)
    watch = DiskWatch(gate)
    watch.start()
    disk.free = 0
    assert eventually(lambda: gate.state()["by_disk"])
    disk.free = 10_000
    assert eventually(lambda: not gate.state()["by_disk"])
    watch.stop()
    assert not watch.is_alive()
