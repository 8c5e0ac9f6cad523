"""Feed: instances from the plugin's events and from Orthanc's change log, each told once as far as possible.

The plugin is quick and may lose events; the change log is slow and complete. An instance that the plugin told of is not
asked for again when the log has it, too. Telling it twice does no harm.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from mapnode.pacs.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mapnode.intake.intake import Intake
    from mapnode.pacs.change_follower import Position, PositionStore
    from mapnode.pacs.events import InstanceEvent
    from mapnode.pacs.orthanc_client import OrthancClient

CREDIT_S = 60.0
"""An event answers for the change log's line about the same instance for so long: the instance may be stored anew."""

ON_ITS_WAY_S = 1.0
"""While the plugin tells of instances, one that it has not told of yet is waited for by the change log: asking costs
more than a hundred events."""


class Feed:
    """Tells of instances; events and the change log come from different threads."""

    def __init__(self, client: OrthancClient, tell: Callable[[InstanceEvent], None]) -> None:
        """Bind it.

        Args:
            client: Orthanc, which is asked about instances that only the change log knows.
            tell: Hears of every instance.
        """
        self._client = client
        self._tell = tell
        self._told: OrderedDict[str, float] = OrderedDict()
        self._heard_at = -math.inf
        self._waited_for = ""
        self._lock = threading.Lock()

    def on_events(self, events: Iterable[InstanceEvent]) -> None:
        """The plugin tells of instances; what it could not find out comes by the change log."""
        now = self._heard_at = time.monotonic()
        for event in events:
            if not event.series_id:
                continue
            # Told first: the change log's position must not pass an instance that nobody was told of.
            self._tell(event)
            with self._lock:
                self._told[event.id] = now
                self._told.move_to_end(event.id)
                while self._told and next(iter(self._told.values())) < now - CREDIT_S:
                    self._told.popitem(last=False)

    def on_dropped(self) -> None:
        """The plugin says that it dropped events: what it did not tell of is not on its way."""
        self._heard_at = -math.inf

    def on_instance(self, instance_id: str) -> bool:
        """The change log has an instance.

        Returns:
            False where the plugin will tell of it in a moment; the log has to give it again.
        """
        now = time.monotonic()
        with self._lock:
            told = self._told.pop(instance_id, None)
        if told is not None and told >= now - CREDIT_S:
            return True
        if now - self._heard_at < ON_ITS_WAY_S and self._waited_for != instance_id:
            self._waited_for = instance_id
            return False
        try:
            event = self._client.arrival(instance_id)
        except NotFound:
            return True  # deleted meanwhile
        self._tell(event)
        return True


class PositionInTurn:
    """Keeps the position in the change log once everything that was told before it is stored.

    Instances are told to a queue in memory; a position that is saved before they are taken from it would lose them
    with the process.
    """

    def __init__(self, store: PositionStore, tell: Callable[[Callable[[Intake], None]], None]) -> None:
        """Bind it.

        Args:
            store: Keeps the position.
            tell: Puts something behind all that was told; it is called in its turn.
        """
        self._store = store
        self._tell = tell

    def load(self) -> Position | None:
        """The stored position; None where there is none yet."""
        return self._store.load()

    def save(self, position: Position) -> None:
        """Keep a position in its turn."""
        self._tell(lambda _: self._store.save(position))
