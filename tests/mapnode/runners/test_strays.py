"""Strays: what an app left in sessions of their own is ended with it, and nothing else."""

import os
import subprocess
import sys

import pytest

from mapnode.runners.child import Child
from mapnode.runners.strays import MARK, end_strays
from tests.mapnode.runners.toy import is_gone
from tests.node_under_test import wait_for


@pytest.fixture
def sleeper():
    started = []

    def start(**environment) -> subprocess.Popen:
        process = subprocess.Popen(["sleep", "60"], env={**os.environ, **environment}, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_processes_with_the_mark_are_ended_whatever_their_session_and_no_others(sleeper):
    marked = [sleeper(**{MARK: "a1"}), sleeper(**{MARK: "a1"})]
    others = [sleeper(**{MARK: "a12"}), sleeper(OTHER="a1"), sleeper()]

    end_strays("a1")

    assert [process.wait(timeout=120) for process in marked] == [-9, -9]
    assert [process.poll() for process in others] == [None] * 3


def test_a_process_that_did_its_work_takes_along_what_it_left(tmp_path):
    note = tmp_path / "pid"
    leaves = (
        "import subprocess\n"
        "left = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        f"open({str(note)!r}, 'w').write(str(left.pid))\n"
    )
    child = Child([sys.executable, "-c", leaves])

    assert child.end() == 0
    wait_for(lambda: is_gone(int(note.read_text())), 120, "the end of what it left")


def test_two_children_have_marks_of_their_own():
    says = [sys.executable, "-c", f"import os; print(os.environ[{MARK!r}])"]
    children = [Child(says), Child(says)]
    marks = [next(iter(child.lines())).strip() for child in children]

    assert [child.end() for child in children] == [0, 0]
    assert len(set(marks)) == 2
