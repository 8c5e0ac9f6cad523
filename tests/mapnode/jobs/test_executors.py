"""Executors: a process that moves is alive whatever the clocks say; one that is gone or silent is given up."""

import dataclasses
import os
import subprocess
import sys
import time

import pytest

from mapnode.database import open_database, place_of
from mapnode.jobs.executors import DEAD, DRAINING, KEPT_S, RUNNING, STOPPED, Roll, Watch, beaten, this_process

ELSEWHERE = "another start of another machine"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def roll(request, tmp_path):
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    engine = open_database(place_of(tmp_path, url).records)
    yield Roll(engine)
    engine.dispose()


def remote(name="far", **changed):
    """A process of another machine."""
    return dataclasses.replace(this_process("worker", ["jobs"]), id=name, machine=ELSEWHERE, **changed)


def watch(silent_looks=3):
    me = this_process("node", ["jobs"])
    return Watch(me.id, me.machine, silent_looks=silent_looks)


def test_a_process_is_on_the_roll_as_it_describes_itself(roll):
    me = this_process("worker", ["jobs", "research"])
    roll.beat(me)

    assert roll.all() == [me]
    assert (me.queues, me.pid, me.state, me.is_living) == ("jobs,research", os.getpid(), RUNNING, True)


def test_every_start_has_a_name_of_its_own():
    assert this_process("node", []).id != this_process("node", []).id


def test_a_heartbeat_counts_and_tells_the_state(roll):
    me = this_process("worker", ["jobs"])
    first, second = roll.beat(me), roll.beat(beaten(me, DRAINING))

    (found,) = roll.all()
    assert (first, second) == (None, RUNNING)
    assert (found.beats, found.state, found.is_living) == (1, DRAINING, True)


def test_a_process_that_was_given_up_learns_it_at_its_next_heartbeat(roll):
    me = remote()
    roll.beat(me)
    roll.bury([me])
    (buried,) = roll.all()

    assert (buried.state, buried.is_living) == (DEAD, False)
    assert roll.beat(beaten(me, RUNNING)) == DEAD
    assert roll.all()[0].is_living


def test_who_moved_since_it_was_seen_is_not_declared_dead(roll):
    seen = remote()
    roll.beat(seen)
    roll.beat(beaten(seen, RUNNING))
    roll.bury([seen])

    assert roll.all()[0].is_living


def test_only_living_processes_that_do_not_drain_serve_a_queue(roll):
    for one in (
        remote("a", queues="jobs,research", slots=2),
        remote("b", queues="jobs", slots=3),
        remote("c", queues="other", slots=5),
        remote("d", queues="jobs", slots=7, state=DRAINING),
        remote("e", queues="jobs", slots=11, state=DEAD),
    ):
        roll.beat(one)

    serving = {queue: [one.id for one in roll.serving(queue)] for queue in ("jobs", "research", "none")}
    assert serving == {"jobs": ["a", "b"], "research": ["a"], "none": []}


def test_processes_that_ended_long_ago_are_forgotten_and_living_ones_never(roll):
    old = time.time() - KEPT_S - 60
    for one in (remote("gone", state=STOPPED), remote("dead", state=DEAD), remote("alive"), remote("new", state=DEAD)):
        roll.beat(one if one.id == "new" else dataclasses.replace(one, beaten_at=old))
    roll.forget_old()

    assert sorted(one.id for one in roll.all()) == ["alive", "new"]


def test_a_process_that_beats_is_alive_however_often_one_looks():
    looking, far = watch(), remote()
    found = []
    for _ in range(20):
        far = beaten(far, RUNNING)
        found += looking.look([far])

    assert found == []


def test_a_process_that_does_not_move_is_given_up_after_the_looks_and_not_before():
    looking, far = watch(silent_looks=3), remote()

    assert [looking.look([far]) for _ in range(5)] == [[], [], [], [far], [far]]


def test_a_heartbeat_in_between_begins_the_count_anew():
    looking, far = watch(silent_looks=2), remote()
    moved = beaten(far, RUNNING)

    assert [looking.look([one]) for one in (far, far, moved, moved, moved)] == [[], [], [], [], [moved]]


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_is_wrong_means_nothing(hours):
    looking, far = watch(silent_looks=2), remote()
    looks = []
    for _ in range(4):
        far = dataclasses.replace(beaten(far, RUNNING), beaten_at=time.time() + hours * 3600)
        looks.append(looking.look([far]))

    assert looks == [[], [], [], []]


def test_one_that_looks_again_after_a_long_sleep_gives_the_others_time():
    looking, far = watch(silent_looks=2), remote()
    looking.look([far])
    looking.look([far])
    # Here this process sleeps for an hour, and the other one beats as ever.
    awake = dataclasses.replace(far, beats=3600)

    assert looking.look([awake]) == []


def test_a_process_of_this_machine_that_is_gone_is_seen_at_once():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    code = f"import mapnode.jobs.executors as e; print(e._start_of({child.pid}))"
    started = int(subprocess.check_output([sys.executable, "-c", code]))
    there = dataclasses.replace(this_process("worker", []), id="child", pid=child.pid, pid_started=started)
    looking = watch(silent_looks=1000)
    while_alive = looking.look([there])
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    as_remains = looking.look([there])
    child.communicate()

    assert while_alive == []
    assert as_remains == [there]
    assert looking.look([there]) == [there]


def test_a_process_number_that_was_given_out_again_is_told_apart():
    mine = this_process("worker", [])
    before = dataclasses.replace(mine, id="before", pid_started=mine.pid_started - 1)

    assert watch().look([before]) == [before]


def test_nobody_gives_itself_up_or_those_that_ended():
    me = this_process("node", [])
    looking = Watch(me.id, me.machine, silent_looks=0)

    assert looking.look([me, remote(state=STOPPED), remote("other", state=DEAD)]) == []
