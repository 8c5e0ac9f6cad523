"""Feed: what the plugin told is not asked for again, and no position passes what nobody has stored."""

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from mapnode.intake import feed as module
from mapnode.intake.feed import Feed, PositionInTurn
from mapnode.pacs.change_follower import ChangeFollower, Position
from mapnode.pacs.errors import NotAuthorised, NotFound, OrthancFailed, OrthancUnreachable, UnexpectedAnswer
from mapnode.pacs.events import InstanceEvent
from mapnode.pacs.resources import Change, ChangePage
from tests.mapnode.engine import Clock


class Client:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.error: Exception | None = None

    def arrival(self, instance_id: str) -> InstanceEvent:
        self.asked.append(instance_id)
        if self.error is not None:
            raise self.error
        return event(instance_id)


def event(instance_id: str, series_id: str = "series") -> InstanceEvent:
    return InstanceEvent(id=instance_id, at=0.0, series_id=series_id, md5=instance_id)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def told():
    return []


@pytest.fixture
def feed(client, told, clock, records):
    def tell(one):
        if isinstance(one, InstanceEvent):
            told.append(one.id)
        else:
            one(None)

    return Feed(client, tell, records.passed_over)


def test_an_instance_of_the_plugin_is_told_and_not_asked_for_when_the_log_has_it_too(feed, client, told):
    feed.on_events([event("a")])
    feed.on_instance("a")

    assert (told, client.asked) == (["a"], [])


def test_an_instance_that_only_the_log_has_is_asked_for_and_told(feed, client, told):
    feed.on_instance("a")

    assert (told, client.asked) == (["a"], ["a"])


def test_what_the_plugin_could_not_find_out_comes_by_the_log(feed, told):
    feed.on_events([event("a", series_id="")])
    before = list(told)
    taken = [feed.on_instance("a"), feed.on_instance("a")]

    assert (before, taken, told) == ([], [False, True], ["a"])


def test_an_event_answers_for_one_line_of_the_log(feed, told):
    feed.on_events([event("a")])
    taken = [feed.on_instance("a") for _ in range(3)]

    assert (taken, told) == ([True, False, True], ["a", "a"])


def test_an_instance_is_not_asked_for_while_the_plugin_is_about_to_tell_of_it(feed, client, told):
    feed.on_events([event("a")])
    taken = feed.on_instance("b")
    feed.on_events([event("b")])

    assert (taken, feed.on_instance("b"), told, client.asked) == (False, True, ["a", "b"], [])


def test_an_instance_that_the_plugin_does_not_tell_of_is_asked_for_with_the_next_look(feed, client):
    feed.on_events([event("a")])

    assert [feed.on_instance("b"), feed.on_instance("b")] == [False, True]
    assert client.asked == ["b"]


@pytest.mark.parametrize("why", ["silence", "dropped"])
def test_a_plugin_that_is_silent_or_dropped_events_is_not_waited_for(feed, client, clock, why):
    feed.on_events([event("a")])
    if why == "silence":
        clock.now += module.ON_ITS_WAY_S + 0.1
    else:
        feed.on_dropped()

    assert feed.on_instance("b")
    assert client.asked == ["b"]


def test_an_old_event_does_not_answer_for_an_instance_that_may_be_stored_anew(feed, told, clock):
    feed.on_events([event("a")])
    clock.now += module.CREDIT_S + 1

    feed.on_instance("a")

    assert told == ["a", "a"]


def test_events_of_an_orthanc_whose_log_is_not_read_are_not_kept_for_ever(feed, clock):
    for number in range(100):
        feed.on_events([event(str(number))])
        clock.now += module.CREDIT_S / 2

    assert len(feed._told) <= 3


def test_an_instance_that_was_deleted_meanwhile_is_not_told(feed, client, told):
    client.error = NotFound("GET /instances", 404, "Unknown resource")

    feed.on_instance("a")

    assert told == []


def test_while_orthanc_is_silent_the_log_is_not_read_past_an_instance(feed, client):
    client.error = OrthancUnreachable("http://127.0.0.1", "ConnectError")

    with pytest.raises(OrthancUnreachable):
        feed.on_instance("a")


FAILURES = [
    OrthancFailed("GET /instances", 500, "Internal error"),
    UnexpectedAnswer("GET /instances", "ParentSeries: Field required"),
    OrthancUnreachable("http://127.0.0.1", "ReadTimeout"),
]


def look(feed, instance_id: str) -> bool:
    """One look into the log: whether it goes on behind the instance."""
    try:
        return feed.on_instance(instance_id)
    except OrthancUnreachable:
        return False


def reasons(records) -> dict[str, str]:
    return {one.orthanc_id: one.reason for one in records.passed_over.all()}


@pytest.mark.parametrize("error", FAILURES)
def test_an_instance_that_orthanc_cannot_tell_of_is_passed_over_after_its_tries_and_recorded(
    feed, client, told, records, error
):
    client.error = error
    looks = [look(feed, "a") for _ in range(module.TRIES)]
    client.error = None

    assert looks == [False] * (module.TRIES - 1) + [True]
    assert feed.on_instance("b")
    assert (told, reasons(records)) == (["b"], {"a": str(error)})


def test_a_change_log_with_an_instance_that_orthanc_cannot_tell_of_is_read_to_its_end(feed, client, told, records):
    changes = [
        Change(seq=n, type="NewInstance", resource_id=name, path=f"/instances/{name}", date="20261121T023134",
               level="Instance")
        for n, name in enumerate("abc", 1)
    ]  # fmt: skip
    log = SimpleNamespace(changes=lambda since, _: ChangePage([one for one in changes if one.seq > since], 3, True))
    whole, client.arrival = client.arrival, lambda name: client.failing() if name == "b" else whole(name)
    client.failing = Mock(side_effect=FAILURES[0])
    position = SimpleNamespace(load=lambda: None, save=lambda _: None)
    follower = ChangeFollower(log, position, feed.on_instance)

    for _ in range(module.TRIES):
        follower.poll_once()

    assert (told, list(reasons(records)), follower.position.seq) == (["a", "c"], ["b"], 3)
    assert client.failing.call_count == module.TRIES


def test_of_many_that_fail_in_a_row_only_the_first_keeps_the_log_waiting(feed, client, records):
    client.error = FAILURES[0]
    for _ in range(module.TRIES):
        feed.on_instance("a")

    assert [feed.on_instance("b"), feed.on_instance("c")] == [True, True]
    assert list(reasons(records)) == ["a", "b", "c"]


def test_an_instance_that_fails_for_a_moment_is_waited_for_each_time(feed, client, told, records):
    for name in ("a", "b"):
        client.error = FAILURES[0]
        for _ in range(module.TRIES - 1):
            assert not feed.on_instance(name)
        client.error = None
        assert feed.on_instance(name)

    assert (told, reasons(records)) == (["a", "b"], {})


def test_a_wrong_password_passes_nothing_over(feed, client, records):
    client.error = NotAuthorised("GET /instances", 401, "Unauthorized")
    for _ in range(module.TRIES + 1):
        with pytest.raises(NotAuthorised):
            feed.on_instance("a")

    assert reasons(records) == {}


def test_what_was_passed_over_is_told_once_orthanc_can(feed, client, told, records, clock):
    records.passed_over.add("a", "500 Internal error")
    records.passed_over.add("b", "500 Internal error")
    client.error = FAILURES[0]
    feed.ask_again()
    client.error = None
    feed.ask_again()
    before = list(told)
    clock.now += module.AGAIN_S
    feed.ask_again()

    assert (before, told, reasons(records)) == ([], ["b", "a"], {})


def test_what_was_passed_over_and_deleted_is_not_asked_for_any_more(feed, client, told, records):
    records.passed_over.add("a", "500 Internal error")
    client.error = NotFound("GET /instances", 404, "Unknown resource")

    feed.ask_again()

    assert (told, reasons(records)) == ([], {})


def test_what_was_passed_over_stays_so_until_what_was_told_of_it_is_stored(client, clock, records):
    records.passed_over.add("a", "500 Internal error")
    queue = []

    Feed(client, queue.append, records.passed_over).ask_again()
    event, then = queue

    assert (event.id, list(reasons(records))) == ("a", ["a"])
    then(None)
    assert reasons(records) == {}


def test_an_instance_is_told_before_its_event_answers_for_the_log(client, clock, records):
    at_the_time = []
    feed = Feed(client, lambda one: at_the_time.append(one.id in feed._told), records.passed_over)

    feed.on_events([event("a")])

    assert at_the_time == [False]


def test_a_position_is_saved_only_in_its_turn():
    saved, queue = [], []

    class Store:
        def load(self):
            return saved[-1] if saved else None

        def save(self, position):
            saved.append(position)

    positions = PositionInTurn(Store(), queue.append)
    positions.save(Position(7))
    before = positions.load()
    for message in queue:
        message(None)

    assert (before, positions.load()) == (None, Position(7))
