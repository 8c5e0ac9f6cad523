"""The follower delivers each new instance at least once, whatever happens to Orthanc, the node or the log."""

import logging
import threading
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.pacs.change_follower import ChangeFollower, FilePositionStore, FollowState, Position
from mapnode.pacs.errors import NotAuthorised, OrthancUnreachable, PacsError
from mapnode.pacs.resources import Change, ChangePage


class Log:
    """Orthanc's change log, as 1.10.1 answers: numbers are never used twice, deletions take theirs along."""

    def __init__(self):
        self.rows = []
        self.highest = 0
        self.failure = None
        self.questions = 0

    def add(self, name, kind="NewInstance", date="20261121T023134", level="Instance"):
        self.highest += 1
        path = f"/instances/{name}"
        self.rows.append(Change(seq=self.highest, type=kind, resource_id=name, path=path, date=date, level=level))

    def changes(self, since, limit=500):
        self.questions += 1
        if self.failure is not None:
            raise self.failure
        after = [row for row in self.rows if row.seq > since]
        page = after[:limit]
        return ChangePage(page, page[-1].seq if page else self.highest, len(page) == len(after))


class Memory:
    """Keeps the position for one test."""

    def __init__(self):
        self.position = None
        self.saved = 0

    def load(self):
        return self.position

    def save(self, position):
        self.position = position
        self.saved += 1


def into(delivered):
    """Takes every instance."""
    return lambda instance: delivered.append(instance) is None


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def delivered():
    return []


@pytest.fixture
def follower(log, memory, delivered):
    return ChangeFollower(log, memory, into(delivered))


def test_only_new_instances_are_delivered(log, follower, delivered):
    for name, kind in [("a", "NewInstance"), ("s", "NewSeries"), ("b", "NewInstance"), ("s", "StableSeries")]:
        log.add(name, kind)
    poll = follower.poll_once()
    assert delivered == ["a", "b"]
    assert (poll.delivered, poll.more, poll.state) == (2, False, FollowState.FOLLOWING)
    assert follower.position.seq == 4


def test_replaced_metadata_and_attachments_are_passed_on(log, memory, delivered):
    changed = []
    follower = ChangeFollower(log, memory, into(delivered), on_changed=changed.append)
    log.add("a")
    log.add("a", "UpdatedAttachment")
    log.add("s", "UpdatedMetadata", level="Series")
    assert follower.poll_once().delivered == 1
    assert [(event.id, event.level, event.what) for event in changed] == [
        ("a", "instance", "attachment"),
        ("s", "series", "metadata"),
    ]
    assert changed[0].at == datetime(2026, 11, 21, 2, 31, 34, tzinfo=UTC).timestamp()


def test_without_somebody_for_changes_they_are_passed_over(log, follower, delivered):
    log.add("a", "UpdatedAttachment")
    log.add("b")
    follower.poll_once()
    assert delivered == ["b"]


def test_nothing_new_stores_nothing(log, follower, memory):
    log.add("a")
    follower.poll_once()
    saved = memory.saved
    follower.poll_once()
    assert memory.saved == saved


def test_a_new_follower_goes_on_where_the_last_one_stood(log, memory, follower, delivered):
    log.add("a")
    follower.poll_once()
    log.add("b")
    ChangeFollower(log, memory, into(delivered)).poll_once()
    assert delivered == ["a", "b"]


def test_an_instance_that_was_not_taken_comes_again(log, memory):
    for name in "abc":
        log.add(name)
    taken = []

    def take(name):
        if name == "b" and taken == ["a"]:
            taken.append("failed")
            raise PacsError("not now")
        taken.append(name)
        return True

    follower = ChangeFollower(log, memory, take)
    with pytest.raises(PacsError):
        follower.poll_once()
    assert memory.position.seq == 1
    follower.poll_once()
    assert taken == ["a", "failed", "b", "c"]


def test_an_instance_that_is_put_off_ends_the_look_and_comes_again(log, memory):
    for name in "abc":
        log.add(name)
    taken = []
    follower = ChangeFollower(log, memory, lambda name: taken.append(name) is None and taken != ["a", "b"], page=2)

    poll = follower.poll_once()
    assert (poll.delivered, poll.more, memory.position.seq) == (1, False, 1)
    follower.poll_once()
    follower.poll_once()
    assert taken == ["a", "b", "b", "c"]


@given(st.lists(st.sampled_from(["instance", "other", "delete", "poll", "restart"]), max_size=40), st.integers(1, 4))
def test_every_instance_is_delivered_in_order_whatever_is_deleted(steps, page):
    log, memory, delivered, expected = Log(), Memory(), [], []
    follower = ChangeFollower(log, memory, into(delivered), page=page)
    for number, step in enumerate(steps):
        if step == "instance":
            log.add(f"{number}")
            expected.append(f"{number}")
        elif step == "other":
            log.add("s", "StableSeries")
        elif step == "delete" and log.rows and log.rows[-1].seq <= follower.position.seq:
            log.rows.pop()
        elif step == "poll":
            assert follower.poll_once().state is FollowState.FOLLOWING
        elif step == "restart":
            follower = ChangeFollower(log, memory, into(delivered), page=page)
    while follower.poll_once().more:
        pass
    assert delivered == expected


def test_a_shorter_log_is_reported_once_and_nothing_is_delivered(log, memory, delivered):
    reasons = []
    follower = ChangeFollower(log, memory, into(delivered), on_behind=reasons.append)
    for name in "abc":
        log.add(name)
    follower.poll_once()
    log.rows, log.highest = log.rows[:1], 1
    log.add("new")
    assert follower.poll_once().state is FollowState.BEHIND
    assert follower.poll_once().state is FollowState.BEHIND
    assert delivered == ["a", "b", "c"]
    assert len(reasons) == 1
    assert "ends at 2" in reasons[0]


def test_a_log_that_grew_past_our_position_again_is_reported(log, follower, delivered):
    for name in "abc":
        log.add(name)
    follower.poll_once()
    log.rows, log.highest = log.rows[:1], 1
    for name in "xyz":
        log.add(name)
    assert follower.poll_once().state is FollowState.BEHIND
    assert delivered == ["a", "b", "c"]


def test_reconciling_delivers_the_whole_log_again(log, follower, delivered):
    for name in "abc":
        log.add(name)
    follower.poll_once()
    log.rows, log.highest = log.rows[:1], 1
    log.add("x")
    follower.poll_once()
    follower.reconcile()
    assert follower.poll_once().state is FollowState.FOLLOWING
    assert delivered == ["a", "b", "c", "a", "x"]


def test_an_orthanc_that_is_down_is_told_once_and_waited_for(log, follower, delivered, caplog):
    log.failure = OrthancUnreachable("http://x", "refused")
    with caplog.at_level(logging.WARNING):
        states = [follower.poll_once().state for _ in range(3)]
    assert states == [FollowState.WAITING] * 3
    assert len(caplog.records) == 1
    log.failure = None
    log.add("a")
    assert follower.poll_once().state is FollowState.FOLLOWING
    assert delivered == ["a"]


def test_a_refusal_is_no_absence(log, follower):
    log.failure = NotAuthorised("GET /changes", 401, "")
    with pytest.raises(NotAuthorised):
        follower.poll_once()


def test_run_looks_when_woken_and_ends_when_told(log, memory):
    arrived = threading.Event()
    follower = ChangeFollower(log, memory, lambda _: arrived.set(), poll_s=60)
    stop = threading.Event()
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    log.add("a")
    follower.wake()
    assert arrived.wait(5)
    stop.set()
    follower.wake()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("failure", [NotAuthorised("GET /changes", 401, ""), ValueError("no number")])
def test_run_survives_whatever_fails(log, memory, caplog, failure):
    arrived, stop = threading.Event(), threading.Event()
    log.add("a")
    log.failure = failure
    follower = ChangeFollower(log, memory, lambda _: arrived.set(), poll_s=0.01)
    thread = threading.Thread(target=follower.run, args=(stop,))
    thread.start()
    while log.questions < 2:
        pass
    log.failure = None
    assert arrived.wait(5)
    stop.set()
    follower.wake()
    thread.join(5)
    assert "trying again" in caplog.text


def test_a_position_outlives_the_node(tmp_path):
    store = FilePositionStore(tmp_path / "position.json")
    assert store.load() is None
    store.save(Position(7, "NewInstance", "a", "20261121T023134"))
    assert FilePositionStore(tmp_path / "position.json").load() == Position(7, "NewInstance", "a", "20261121T023134")
    assert [path.name for path in tmp_path.iterdir()] == ["position.json"]


@pytest.mark.parametrize("left", [b"", b"{"])
def test_a_position_that_a_power_cut_damaged_has_the_log_read_from_its_beginning(
    log, delivered, tmp_path, left, caplog
):
    (tmp_path / "position.json").write_bytes(left)
    log.add("a")
    with caplog.at_level(logging.ERROR):
        ChangeFollower(log, FilePositionStore(tmp_path / "position.json"), into(delivered)).poll_once()

    assert delivered == ["a"]
    assert FilePositionStore(tmp_path / "position.json").load().seq == 1
    assert "is damaged" in caplog.text
