"""Faults: whoever is killed, sent = done + refused with a reason; none lost, none twice."""

import pytest

from mapnode.pacs.orthanc_client import TIMEOUT
from tests.faults import clock_set_back, full_disk, stopped_orthanc
from tests.faults.run import run
from tests.faults.schedule import make_schedule
from tests.faults.studies import Kind, as_sent, draw_kinds, make_studies

# pynetdicom leaves the socket open where nobody listens: it shuts it down first, which fails, and does not close it.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
VICTIMS = ("node", "worker", "orthanc")


def test_a_schedule_is_that_of_its_seed():
    assert make_schedule(7, 20, VICTIMS) == make_schedule(7, 20, VICTIMS)
    assert make_schedule(7, 20, VICTIMS) != make_schedule(8, 20, VICTIMS)


def test_every_victim_is_killed_as_often_as_the_others():
    killed = [kill.victim for kill in make_schedule(1, 30, VICTIMS)]

    assert {victim: killed.count(victim) for victim in VICTIMS} == dict.fromkeys(VICTIMS, 10)


def test_kinds_are_those_of_their_seed_and_each_is_drawn():
    assert draw_kinds(7, 30) == draw_kinds(7, 30)
    assert draw_kinds(7, 30) != draw_kinds(8, 30)
    assert set(draw_kinds(1, 7)) == set(Kind)


def test_studies_in_turns_go_out_in_pairs(tmp_path):
    kinds = [Kind.PLAIN, Kind.IN_TURNS, Kind.IN_TURNS, Kind.LATE]

    groups = as_sent(make_studies(tmp_path, 1, kinds, slices=2))

    assert [[study.kind for study in group] for group in groups] == [kinds[:1], kinds[1:3], kinds[3:]]


@pytest.mark.slow
@pytest.mark.orthanc
@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_few_kills_lose_nothing_and_double_nothing(tmp_path, database, request):
    if database == "postgres":
        request.getfixturevalue("postgres_server")  # skips where there can be none
    check(run(tmp_path, seed=5, kills=5, studies=7, postgres=database == "postgres"), seed=5)


@pytest.mark.slow
@pytest.mark.orthanc
def test_an_orthanc_that_hangs_for_longer_than_any_timeout_loses_nothing(tmp_path):
    account = stopped_orthanc.run(tmp_path, seed=1, stop_s=TIMEOUT.read + 1.0)

    assert (account.problems, account.done) == ([], account.sent)


@pytest.mark.slow
@pytest.mark.orthanc
def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(tmp_path):
    if not full_disk.may_mount():
        pytest.skip("only root may mount a small disk")
    check(full_disk.run(tmp_path, seed=3, studies=6, full_s=6.0), seed=3)


@pytest.mark.slow
@pytest.mark.orthanc
def test_a_clock_that_is_set_back_holds_nothing_up(tmp_path):
    check(clock_set_back.run(tmp_path, seed=1, studies=6), seed=1)


def check(account, seed):
    """All adds up, and only what lacks a slice is refused."""
    assert account.problems == []
    assert account.refused == draw_kinds(seed, account.sent).count(Kind.GAP)
    assert account.done + account.refused == account.sent
