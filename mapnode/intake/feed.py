"""Feed: instances from the plugin's events and from Orthanc's change log, each told once as far as possible.

The plugin is quick and may lose events; the change log is slow and complete. An instance that the plugin told of is not
asked for again when the log has it, too. Telling it twice does no harm. One of which Orthanc cannot tell, whatever is
wrong with it, does not keep all behind it from being read: it is passed over, kept in the records, and asked for again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from mapnode.pacs.errors import NotAuthorised, NotFound, OrthancUnreachable, PacsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mapnode.intake.intake import Intake
    from mapnode.pacs.change_follower import Position, PositionStore
    from mapnode.pacs.events import InstanceEvent
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.records.passed_over import PassedOver

CREDIT_S = 60.0
"""An event answers for the change log's line about the same instance for so long: the instance may be stored anew."""

ON_ITS_WAY_S = 1.0
"""While the plugin tells of instances, one that it has not told of yet is waited for by the change log: asking costs
more than a hundred events."""

TRIES = 20
"""So often in a row, and between them for the change log, which has to be there, Orthanc is asked in vain before an
instance is passed over: at `poll_s` of 0.5 s for 10 s."""

AGAIN_S = 60.0
"""What was passed over is asked for so often."""

_log = logging.getLogger(__name__)


class Feed:
    """Tells of instances; events and the change log come from different threads."""

    def __init__(
        self,
        client: OrthancClient,
        tell: Callable[[InstanceEvent | Callable[[Intake], None]], None],
        passed_over: PassedOver,
    ) -> None:
        """Bind it.

        Args:
            client: Orthanc, which is asked about instances that only the change log knows.
            tell: Hears of every instance; anything else put behind them is called in its turn.
            passed_over: Where instances are kept that Orthanc cannot tell of.
        """
        self._client = client
        self._tell = tell
        self._passed_over = passed_over
        self._failures = 0
        self._next_time = 0.0
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
            False where the plugin will tell of it in a moment, or Orthanc cannot now; the log has to give it again.

        Raises:
            NotAuthorised: If Orthanc lets nobody ask: that says nothing of the instance.
            OrthancUnreachable: If it does not answer, for the time being.
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
        except NotAuthorised:
            raise
        except PacsError as error:
            return self._pass_over(instance_id, error)
        self._failures = 0
        self._tell(event)
        return True

    def ask_again(self) -> None:
        """Ask now and then for what was passed over; an instance that fails again goes behind all others.

        Raises:
            OrthancUnreachable: If Orthanc does not answer.
        """
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + AGAIN_S
        for one in self._passed_over.all():
            try:
                self._tell(self._client.arrival(one.orthanc_id))
            except NotFound:
                _log.warning("instance %s, which was passed over, is no longer in Orthanc", one.orthanc_id)
                self._passed_over.remove(one.orthanc_id)
            except PacsError as error:
                self._passed_over.add(one.orthanc_id, str(error))
                return
            else:
                _log.warning("instance %s, which was passed over, is taken now", one.orthanc_id)
                self._forget_in_turn(one.orthanc_id)

    def _pass_over(self, instance_id: str, error: PacsError) -> bool:
        """Whether the change log is to go on without an instance that Orthanc cannot tell of.

        Raises:
            OrthancUnreachable: If Orthanc does not answer, for the time being.
        """
        self._failures += 1
        if self._failures < TRIES:
            if isinstance(error, OrthancUnreachable):
                raise error
            if self._failures == 1:
                _log.warning("instance %s cannot be taken, asking again: %s", instance_id, error)
            return False
        self._passed_over.add(instance_id, str(error))
        _log.error("instance %s is passed over, and asked for again each %g s: %s", instance_id, AGAIN_S, error)
        return True

    def _forget_in_turn(self, instance_id: str) -> None:
        """It is no longer passed over once what was told of it is stored."""
        self._tell(lambda _: self._passed_over.remove(instance_id))


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
