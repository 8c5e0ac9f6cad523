"""Faults: whoever is killed, sent = done + refused with a reason; none lost, none twice."""

import pytest

from tests.faults.run import run
from tests.faults.schedule import make_schedule

VICTIMS = ("node", "worker", "orthanc")


def test_a_schedule_is_that_of_its_seed():
    assert make_schedule(7, 20, VICTIMS) == make_schedule(7, 20, VICTIMS)
    assert make_schedule(7, 20, VICTIMS) != make_schedule(8, 20, VICTIMS)


def test_every_victim_is_killed_as_often_as_the_others():
    killed = [kill.victim for kill in make_schedule(1, 30, VICTIMS)]

    assert {victim: killed.count(victim) for victim in VICTIMS} == dict.fromkeys(VICTIMS, 10)


@pytest.mark.slow
@pytest.mark.orthanc
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path, database, request):
    if database == "postgres":
        request.getfixturevalue("postgres_server")  # skips where there can be none
    account = run(tmp_path, seed=5, kills=5, studies=4, postgres=database == "postgres")

    assert account.problems == []
    assert account.done == account.sent
