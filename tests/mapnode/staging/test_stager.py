"""The stager stages what arrives, outlives its process, and never tries a poisonous file twice."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from mapnode.staging import Stager, stager
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_folder
from operators.core.staged_volume import take_staged
from operators.core.staging import read_index
from tests.builders import make_ct_series
from tests.node_under_test import wait_for

ENOUGH_S = 60.0
"""Longer than anything here takes on a busy machine; no test waits for it."""
TAMPERED = """
import os, time
from pathlib import Path
from mapnode.staging import process
original = process.open_instance
def tampered(path):
    if "poison" in path.name:
        os.kill(os.getpid(), 9)
    while "slow" in path.name and not path.with_suffix(".go").exists():
        time.sleep(0.01)
    return original(path)
process.open_instance = tampered
process.serve()
"""


@pytest.fixture
def start(tmp_path):
    """Starts stagers; each is stopped."""
    started = []

    def make(command=stager.COMMAND) -> Stager:
        started.append(Stager(tmp_path / "stages", command))
        return started[-1]

    yield make
    for one in started:
        one.stop()


@pytest.fixture
def tampered(start):
    return start([sys.executable, "-c", TAMPERED])


def geometry_of(folder: Path):
    (series,) = read_folder(folder).series
    (volume,) = examine(series).volumes
    return volume


def is_gone(pid: int) -> bool:
    path = Path("/proc", str(pid), "stat")
    return not path.exists() or path.read_text().rpartition(")")[2].split()[0] == "Z"


def policy_of(pid: int) -> int:
    return os.sched_getscheduler(pid)


def session_of(pid: int) -> str:
    """The kernel's line on the session: its niceness last; empty where sessions do not count."""
    path = Path("/proc", str(pid), "autogroup")
    return path.read_text() if path.exists() else ""


def test_volume_of_a_staged_series_is_mapped_from_its_stage(tmp_path, start):
    paths = make_ct_series(tmp_path / "in")
    staging = start()

    for path in paths:
        staging.add("series", path)
    assert staging.wait("series", ENOUGH_S)

    geometry = geometry_of(tmp_path / "in")
    staged = take_staged(staging.folder("series"), geometry)
    assert np.array_equal(staged.array, read_volume(geometry).array)
    offsets = [entry.offset for entry in read_index(staging.folder("series")).values()]
    assert offsets == sorted(offsets), "slices lie in the order in which they arrived"
    assert staging.describe()["staged_slices"] == 12


def test_compressed_slices_lie_in_their_stage_in_the_order_of_their_arrival(tmp_path, start):
    paths = make_ct_series(tmp_path / "in", slices=30)
    for path in paths:
        dataset = dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    staging = start()

    for path in paths:
        staging.add("series", path)
    assert staging.wait("series", ENOUGH_S)

    uids = [entry.uid for entry in read_index(staging.folder("series")).values()]
    assert uids == [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in paths]


def test_process_takes_only_what_others_leave(start):
    staging = start()
    pid = wait_for(lambda: staging.describe()["pid"], ENOUGH_S, "the process")

    def yields():
        return policy_of(pid) == os.SCHED_IDLE or os.getpriority(os.PRIO_PROCESS, pid) == 19

    assert wait_for(yields, ENOUGH_S, "the process to yield")


def test_session_of_the_process_takes_only_what_others_leave(start):
    staging = start()
    pid = wait_for(lambda: staging.describe()["pid"], ENOUGH_S, "the process")
    if not session_of(os.getpid()):
        pytest.skip("the kernel shares its cores among processes, whatever their session")

    assert wait_for(lambda: session_of(pid).endswith("nice 19\n"), ENOUGH_S, "the session to yield")


def test_series_that_arrives_overtakes_what_an_older_one_left(tmp_path, tampered, monkeypatch):
    monkeypatch.setattr(stager, "MOST_SENT", 1)
    paths = make_ct_series(tmp_path / "in")
    slow = [path.rename(path.with_name(f"slow-{path.name}")) for path in paths[:6]]
    for path in slow:
        tampered.add("older", path)
    wait_for(lambda: any(p.begun for p in tampered._pending.values()), ENOUGH_S, "the first to begin")
    for path in paths[6:]:
        tampered.add("newer", path)

    slow[0].with_suffix(".go").touch()
    assert tampered.wait("newer", ENOUGH_S)
    assert len(read_index(tampered.folder("newer"))) == 6
    assert len(read_index(tampered.folder("older"))) == 1

    for path in slow:
        path.with_suffix(".go").touch()
    assert tampered.wait("older", ENOUGH_S)
    assert len(read_index(tampered.folder("older"))) == 6


def test_killed_process_is_replaced_and_what_it_had_not_begun_is_staged(tmp_path, tampered):
    paths = make_ct_series(tmp_path / "in")
    slow = [path.rename(path.with_name(f"slow-{path.name}")) for path in paths]
    for path in slow:
        tampered.add("series", path)
    wait_for(lambda: any(p.begun for p in tampered._pending.values()), ENOUGH_S, "the first to begin")
    first = tampered.describe()["pid"]

    tampered._child.kill()
    wait_for(lambda: tampered.describe()["starts"] == 2, ENOUGH_S, "a second process")
    for path in slow:
        path.with_suffix(".go").touch()

    assert tampered.wait("series", ENOUGH_S)
    assert is_gone(first)
    assert 12 - len(os.sched_getaffinity(0)) <= len(read_index(tampered.folder("series"))) < 12


def test_file_that_kills_the_process_is_tried_once_and_the_rest_is_staged(tmp_path, tampered):
    paths = make_ct_series(tmp_path / "in")
    poison = paths[0].rename(tmp_path / "poison.dcm")
    tampered.add("series", poison)
    wait_for(lambda: tampered.describe()["starts"] == 2, ENOUGH_S, "a second process")

    for path in paths[1:]:
        tampered.add("series", path)

    assert tampered.wait("series", ENOUGH_S)
    assert len(read_index(tampered.folder("series"))) == 11
    assert (tampered.describe()["starts"], tampered.describe()["pending"]) == (2, 0)


def test_file_that_is_no_image_or_is_gone_holds_nothing_up(tmp_path, start):
    paths = make_ct_series(tmp_path / "in")
    (tmp_path / "text").write_text("no DICOM")
    (tmp_path / "empty").touch()
    staging = start()

    for path in (tmp_path / "text", tmp_path / "gone", tmp_path / "empty", *paths):
        staging.add("series", path)

    assert staging.wait("series", ENOUGH_S)
    assert len(read_index(staging.folder("series"))) == 12


def test_process_that_never_starts_is_tried_again_with_growing_pauses(start, monkeypatch):
    monkeypatch.setattr(stager, "FIRST_PAUSE_S", 0.05)
    started = time.monotonic()

    staging = start(["false"])
    wait_for(lambda: staging.describe()["starts"] >= 4, ENOUGH_S, "the fourth start")

    assert time.monotonic() - started >= 0.05 + 0.1 + 0.2


def test_dropped_series_leaves_nothing_and_can_come_again(tmp_path, start):
    paths = make_ct_series(tmp_path / "in")
    staging = start()
    for path in paths:
        staging.add("series", path)
        staging.add("other", path)

    staging.drop("series")
    assert staging.wait("series", ENOUGH_S)
    assert not staging.folder("series").exists()

    staging.add("series", paths[0])
    assert staging.wait("series", ENOUGH_S)
    assert staging.wait("other", ENOUGH_S)
    assert len(read_index(staging.folder("series"))) == 1
    assert len(read_index(staging.folder("other"))) == 12


def test_stages_of_a_dead_node_are_swept_or_found_again(tmp_path, start):
    paths = make_ct_series(tmp_path / "in")
    first = start()
    for key in ("kept", "stale"):
        first.add(key, paths[0])
        assert first.wait(key, ENOUGH_S)
    first.stop()

    second = start()
    assert second.sweep(keep=["kept"]) == 1
    second.add("kept", paths[1])
    assert second.wait("kept", ENOUGH_S)

    assert len(read_index(second.folder("kept"))) == 2
    assert not second.folder("stale").exists()


def test_names_of_stages_cannot_leave_their_folder(start):
    staging = start()

    for key in ("../escape", "/etc", ".", "", "a/b", "x" * 300):
        assert staging.folder(key).parent == staging.folder("series").parent
    assert staging.folder("a/b") != staging.folder("a_b")


def test_process_dies_with_its_node(tmp_path):
    code = (
        "import os, time\nfrom pathlib import Path\nfrom mapnode.staging import Stager\n"
        f"staging = Stager(Path({str(tmp_path / 'stages')!r}))\n"
        "while not staging.describe()['pid']: time.sleep(0.01)\n"
        "print(staging.describe()['pid'], flush=True)\ntime.sleep(600)\n"
    )
    node = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(node.stdout.readline())
    finally:
        node.kill()
        node.communicate()

    assert wait_for(lambda: is_gone(pid), ENOUGH_S, "the staging process to die")


def test_more_files_than_may_wait_are_left_to_the_job(tmp_path, start, monkeypatch):
    monkeypatch.setattr(stager, "MOST_PENDING", 3)
    paths = make_ct_series(tmp_path / "in")
    staging = start(["sleep", "600"])

    for path in paths:
        staging.add("series", path)

    assert staging.describe()["pending"] == 3
    assert not staging.wait("series", 0)
