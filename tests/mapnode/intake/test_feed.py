"""Feed: what the plugin told is not asked for again, and no position passes what nobody has stored."""

import pytest

from mapnode.intake import feed as module
from mapnode.intake.feed import Feed, PositionInTurn
from mapnode.pacs.change_follower import Position
from mapnode.pacs.errors import NotFound, OrthancUnreachable
from mapnode.pacs.events import InstanceEvent
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
def feed(client, told, clock):
    return Feed(client, lambda one: told.append(one.id))


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


def test_an_instance_is_told_before_its_event_answers_for_the_log(client, clock):
    at_the_time = []
    feed = Feed(client, lambda one: at_the_time.append(one.id in feed._told))

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
