"""Outbox: never full for what stands nowhere else, never waits."""

from mapnode_plugin.outbox import Outbox, make_event


def event(name, kind="conflict"):
    return make_event(kind, name)


def names(batch):
    return [event["id"] for event in batch.events]


def test_a_full_outbox_drops_and_counts():
    outbox = Outbox(limit=2)
    for name in "abc":
        outbox.add(event(name, "instance"))
    batch = outbox.take()
    assert (names(batch), batch.dropped, batch.lost) == (["a", "b"], 1, 0)
    assert outbox.take() is None


def test_what_stands_in_no_log_has_room_when_instances_have_none():
    outbox = Outbox(limit=1)
    for name in "ab":
        outbox.add(event(name, "instance"))
    for name in "cd":
        outbox.add(event(name))
    batch = outbox.take()
    assert (names(batch), batch.dropped, batch.lost) == (["a", "c"], 1, 1)


def test_what_stands_in_no_log_is_kept_in_order_when_it_could_not_be_posted():
    outbox = Outbox()
    for name, kind in (("a", "conflict"), ("b", "instance"), ("c", "conflict")):
        outbox.add(event(name, kind))
    outbox.give_back(outbox.take())
    outbox.add(event("d"))
    batch = outbox.take()
    assert (names(batch), batch.dropped) == (["a", "c", "d"], 1)


def test_what_was_refused_is_counted_and_gone():
    outbox = Outbox()
    outbox.add(event("a"))
    outbox.add(event("b", "instance"))
    outbox.give_back(outbox.take(), refused=True)
    batch = outbox.take()
    assert (batch.events, batch.dropped, batch.lost) == ([], 1, 1)
