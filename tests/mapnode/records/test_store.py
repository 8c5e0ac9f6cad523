"""Store: series that wait, what is out of use, switches and requests outlive the node."""

import pytest

from mapnode.database import place_of
from mapnode.errors import NodeError
from mapnode.records import DecisionRecord, PendingSeries, Records
from mapnode.records.requests import RequestKind
from mapnode.records.switches import JOBS, app_switch


@pytest.fixture
def reopen(tmp_path):
    """Opens the same database again, as a node does after a kill."""
    opened = []

    def again():
        opened.append(Records(f"sqlite:///{tmp_path / 'records.sqlite'}"))
        return opened[-1]

    yield again
    for records in opened:
        records.close()


def test_series_wait_over_a_restart_the_longest_waiting_first(reopen):
    reopen().pending.grew(["b"], 2.0)
    reopen().pending.grew(["a"], 1.0)

    assert reopen().pending.all() == [PendingSeries("a", 1.0), PendingSeries("b", 2.0)]


def test_a_series_that_grows_again_waits_once_and_stays_forced(reopen):
    records = reopen()
    records.pending.force("a", 1.0)
    records.pending.grew(["a"], 5.0)

    assert records.pending.all() == [PendingSeries("a", 5.0, forced=True)]


def test_a_series_that_was_decided_waits_no_longer(reopen):
    records = reopen()
    records.pending.force("a", 1.0)
    records.pending.settled("a")
    records.pending.grew(["a"], 2.0)

    assert reopen().pending.all() == [PendingSeries("a", 2.0)]


def test_what_was_rejected_is_found_among_many(reopen):
    reopen().rejections.add(["1.2", "1.3"], "9.9", "Rejected for Quality Reasons")

    assert reopen().rejections.among(["1.1", *map(str, range(1200)), "1.3"]) == {"1.3"}
    assert reopen().rejections.among([]) == set()


def test_what_is_off_stays_off_over_a_restart_until_it_is_on(reopen):
    records = reopen()
    records.switches.off(JOBS, "first")
    records.switches.off(JOBS, "second")
    records.switches.off(app_switch("a"), "wrong numbers")
    before = reopen().switches.all()
    records.switches.on(JOBS)

    assert before == {"jobs": "second", "app:a": "wrong numbers"}
    assert reopen().switches.all() == {"app:a": "wrong numbers"}


def test_requests_wait_in_their_order_until_they_are_done(reopen):
    records = reopen()
    first = records.requests.add(RequestKind.RERUN, uids=["1.2"])
    second = records.requests.add(RequestKind.CANCEL, job="3f2a")
    records.requests.done(first)

    (left,) = reopen().requests.all()
    assert (left.id, left.kind, left.argument) == (second, RequestKind.CANCEL, {"job": "3f2a"})
    assert (records.requests.waits(first), records.requests.waits(second)) == (False, True)


def test_decisions_are_kept_by_series(reopen):
    decisions = [
        DecisionRecord(float(n), "1.2", f"1.2.{n}", "rule", "app", n == 1, [{"text": "Ä", "held": True}], None)
        for n in range(2)
    ]
    reopen().decisions.add(decisions)
    reopen().decisions.add([])

    assert reopen().decisions.all() == decisions
    assert reopen().decisions.all("1.2.1") == decisions[1:]


def test_decisions_about_a_study_or_a_series_are_found_the_newest_first(reopen):
    decisions = [DecisionRecord(float(n), f"1.{n // 2}", f"1.2.{n}", "rule", "app", True, [], None) for n in range(4)]
    reopen().decisions.add(decisions)
    kept = reopen().decisions

    assert kept.newest(3) == decisions[:0:-1]
    assert kept.newest(9, "1.1") == [decisions[3], decisions[2]]
    assert kept.newest(9, "1.2.0") == [decisions[0]]
    assert kept.newest(9, "1.3") == []


def test_a_damaged_database_is_named(tmp_path):
    place = place_of(tmp_path)
    (tmp_path / "records.sqlite").write_bytes(b"no database" * 99)

    with pytest.raises(NodeError, match=r"records\.sqlite cannot be read: file is not a database"):
        Records(place.records)
