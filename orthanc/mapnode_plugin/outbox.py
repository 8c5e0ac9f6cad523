"""Outbox: events that wait for the next post to the node."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from typing import Any, NamedTuple

BATCH_EVENTS = 1_000
QUEUE_EVENTS = 50_000
"""Events of the change log that wait at most; those that stand nowhere else may be twice as many."""
IN_CHANGE_LOG = ("instance", "changed")
"""Kinds of events that the node finds in Orthanc's change log, too."""

Event = dict[str, Any]
"""As the node reads it (mapnode/pacs/events.py): kind, id, at, and what its kind has."""


def make_event(kind: str, name: str, **more: str) -> Event:
    """An event of this moment.

    Args:
        kind: Its kind.
        name: Orthanc's identifier of what it is about.
        more: What its kind has besides.
    """
    return {"kind": kind, "id": name, "at": time.time(), **more}


class Batch(NamedTuple):
    """What goes in one post."""

    events: list[Event]
    dropped: int = 0
    unchecked: int = 0
    lost: int = 0

    def as_json(self) -> bytes:
        """As the node reads it (mapnode/pacs/events.py)."""
        return json.dumps(self._asdict()).encode()


class Outbox:
    """Events that wait for the next post. Adding never waits.

    What the change log has as well may be dropped; everything else stays here until the node has taken it.
    """

    def __init__(self, limit: int = QUEUE_EVENTS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._events: deque[Event] = deque()
        self._dropped = self._unchecked = self._lost = 0

    def add(self, event: Event) -> None:
        """Take note of an event."""
        with self._lock:
            if len(self._events) < self._limit * (1 if event["kind"] in IN_CHANGE_LOG else 2):
                self._events.append(event)
            else:
                self._count_missing([event])
        self._filled.set()

    def add_unchecked(self) -> None:
        """Take note of an instance that came again and was not compared."""
        with self._lock:
            self._unchecked += 1
        self._filled.set()

    def take(self, most: int = BATCH_EVENTS) -> Batch | None:
        """Take the oldest events; None when there are none."""
        with self._lock:
            self._filled.clear()
            events = [self._events.popleft() for _ in range(min(most, len(self._events)))]
            batch = Batch(events, self._dropped, self._unchecked, self._lost)
            self._dropped = self._unchecked = self._lost = 0
            if self._events:
                self._filled.set()
        return batch if any(batch) else None

    def give_back(self, batch: Batch, *, refused: bool = False) -> None:
        """Take back what could not be posted.

        Args:
            batch: What it was.
            refused: The node will never take these events: they are counted only.
        """
        kept = [] if refused else [event for event in batch.events if event["kind"] not in IN_CHANGE_LOG]
        missing = batch.events if refused else [event for event in batch.events if event["kind"] in IN_CHANGE_LOG]
        with self._lock:
            self._dropped += batch.dropped
            self._unchecked += batch.unchecked
            self._lost += batch.lost
            self._count_missing(missing)
            self._events.extendleft(reversed(kept))
        self._filled.set()

    def wait(self) -> None:
        """Wait until there is something to take."""
        self._filled.wait()

    def wake(self) -> None:
        """End a wait."""
        self._filled.set()

    def _count_missing(self, events: list[Event]) -> None:
        in_log = sum(event["kind"] in IN_CHANGE_LOG for event in events)
        self._dropped += in_log
        self._lost += len(events) - in_log
