"""Records: what waits and what was decided is there after a crash, and while others read."""

import sqlite3

import pytest
from mapnode.jobs.records import DecisionRecord, PendingSeries, Records


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.sqlite"


@pytest.fixture
def opened(path):
    """Opens the file, as often as asked; every connection is closed at the end."""
    made = []

    def open_records() -> Records:
        made.append(Records(path))
        return made[-1]

    yield open_records
    for records in made:
        records.close()


def make_decision(**changed) -> DecisionRecord:
    values = {
        "at": 1000.5,
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
        "rule": "trunk",
        "app": "toy",
        "matched": False,
        "clauses": [
            {"text": "Modality equals CT", "held": True, "met": "CT"},
            {"text": "SeriesDescription regex Bäuche", "held": False, "met": '(absent) "\n'},
        ],
        "job_id": None,
    }
    return DecisionRecord(**(values | changed))


def test_pending_series_survive_reopening(opened):
    first = opened()
    first.series_grew("a", 10.0)
    first.series_grew("b", 11.25)
    first.close()

    found = opened().pending_series()

    assert found == [PendingSeries("a", 10.0), PendingSeries("b", 11.25)]


def test_growing_again_moves_last_arrival(opened):
    records = opened()
    records.series_grew("a", 10.0)

    records.series_grew("a", 12.0)

    assert records.pending_series() == [PendingSeries("a", 12.0)]


def test_the_longest_waiting_series_comes_first(opened):
    records = opened()
    records.series_grew("late", 30.0)
    records.series_grew("early", 10.0)
    records.series_grew("early again", 5.0)
    records.series_grew("early again", 20.0)

    order = [pending.orthanc_id for pending in records.pending_series()]

    assert order == ["early", "early again", "late"]


def test_a_settled_series_waits_no_longer_and_others_do(opened):
    records = opened()
    records.series_grew("a", 10.0)
    records.series_grew("b", 10.0)

    records.series_settled(PendingSeries("a", 10.0), [make_decision()])

    assert records.pending_series() == [PendingSeries("b", 10.0)]


def test_a_series_that_grew_while_it_was_decided_goes_on_waiting(opened):
    records = opened()
    records.series_grew("a", 10.0)
    (pending,) = records.pending_series()
    records.series_grew("a", 10.5)

    records.series_settled(pending, [make_decision()])

    assert records.pending_series() == [PendingSeries("a", 10.5)]
    assert records.decisions() == [make_decision()]


def test_a_series_settles_without_a_decision(opened):
    records = opened()
    records.series_grew("a", 10.0)

    records.series_settled(PendingSeries("a", 10.0), [])

    assert (records.pending_series(), records.decisions()) == ([], [])


def test_decisions_come_back_with_their_clauses(opened):
    decided = [make_decision(), make_decision(rule="other", matched=True, job_id="3f2a", clauses=[])]
    first = opened()
    first.series_settled(PendingSeries("a", 10.0), decided)
    first.close()

    assert opened().decisions() == decided


def test_decisions_about_one_series_are_found_the_oldest_first(opened):
    records = opened()
    for number, series in enumerate(["1.2.3", "1.2.4", "1.2.3"]):
        decision = make_decision(rule=f"rule {number}", series_instance_uid=series)
        records.series_settled(PendingSeries(series, 1.0), [decision])

    assert [decision.rule for decision in records.decisions("1.2.3")] == ["rule 0", "rule 2"]
    assert [decision.rule for decision in records.decisions()] == ["rule 0", "rule 1", "rule 2"]


def test_two_connections_read_while_a_third_one_writes(opened, path):
    one, other = opened(), opened()
    one.series_grew("a", 10.0)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO pending_series VALUES ('b', 11.0)")

    meanwhile = [one.pending_series(), other.pending_series()]
    writer.execute("COMMIT")
    writer.close()

    assert meanwhile == [[PendingSeries("a", 10.0)]] * 2
    assert one.pending_series() == other.pending_series() == [PendingSeries("a", 10.0), PendingSeries("b", 11.0)]
