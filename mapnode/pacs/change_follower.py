"""Change follower: reads Orthanc's change log from a stored position, so that no instance is ever missed.

The plugin's events only wake it early. What was delivered may be delivered again after a crash: the receiver has to
take that without harm.

How a log that is behind is told. Orthanc's sequence numbers are never used twice (SQLite's AUTOINCREMENT), and where a
question finds no changes, `Last` is the highest number ever given, whatever was deleted since (measured on 1.10.1,
over restarts and `DELETE /changes`). So a `Last` below our position means another or an older database. One that has
grown past our position again is told by the change at our position itself: it is read again with each question.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from mapnode.pacs.errors import OrthancUnreachable, PacsError
from mapnode.pacs.events import ChangedEvent
from mapnode.pacs.resources import seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mapnode.pacs.resources import Change, ChangePage

NEW_INSTANCE = "NewInstance"
UPDATES: dict[str, Literal["metadata", "attachment"]] = {
    "UpdatedMetadata": "metadata",
    "UpdatedAttachment": "attachment",
}
PAGE = 500
"""Changes a question."""
SHORTEST_PAUSE_S = 0.03
"""Between two questions while events come in one after the other."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Position:
    """The last change that was delivered; the log's beginning where nothing was.

    Attributes:
        seq: Its sequence number.
        type: Its kind.
        resource_id: What it was about.
        date: When it happened. With the former two it tells whether the log is still the same.
    """

    seq: int = 0
    type: str = ""
    resource_id: str = ""
    date: str = ""

    @classmethod
    def of(cls, change: Change) -> Position:
        """The position after a change."""
        return cls(change.seq, change.type, change.resource_id, change.date)


class PositionStore(Protocol):
    """Where the position outlives the node."""

    def load(self) -> Position | None:
        """The stored position; None where there is none yet."""

    def save(self, position: Position) -> None:
        """Keep a position."""


class FilePositionStore:
    """Keeps the position in a small JSON file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Position | None:
        """The stored position; None where there is none yet, and of a file that a power cut left empty or torn.

        Every instance is delivered again then, which does no harm. To have each position on the disk before going on
        would cost more than that.
        """
        try:
            return TypeAdapter(Position).validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            _log.error("%s is damaged; Orthanc's change log is read from its beginning", self._path)
            return None

    def save(self, position: Position) -> None:
        """Keep a position: replaced in one step."""
        draft = self._path.with_name(f".{self._path.name}.draft")
        draft.write_bytes(TypeAdapter(dict[str, int | str]).dump_json(asdict(position)))
        draft.replace(self._path)


class ChangeLog(Protocol):
    """The part of OrthancClient that is needed here."""

    def changes(self, since: int, limit: int = ...) -> ChangePage:
        """A piece of the change log."""


class FollowState(StrEnum):
    """How following goes."""

    FOLLOWING = "following"
    WAITING = "waiting"
    """Orthanc does not answer."""
    BEHIND = "behind"
    """The change log is not the one that was followed; nothing is delivered until `reconcile`."""


@dataclass(frozen=True)
class Poll:
    """What one look into the log gave.

    Attributes:
        delivered: New instances that were delivered.
        more: The log has more: look again at once.
        state: How following goes.
    """

    delivered: int
    more: bool
    state: FollowState


class ChangeFollower:
    """Delivers every new instance of Orthanc's change log at least once.

    Args:
        client: Orthanc.
        positions: Where the position is kept.
        on_instance: Called with Orthanc's identifier of each new instance. What it raises, or False, ends the look; the
            instance comes again with the next one.
        on_changed: Called with each replacement of metadata or an attachment, in the same way. Deletions are not in the
            log: Orthanc takes the changes of what was deleted out of it.
        on_behind: Called once when the log turns out to be behind, with the reason.
        poll_s: How often `run` looks without being woken.
        page: Changes a question.
    """

    def __init__(
        self,
        client: ChangeLog,
        positions: PositionStore,
        on_instance: Callable[[str], bool],
        *,
        on_changed: Callable[[ChangedEvent], None] | None = None,
        on_behind: Callable[[str], None] | None = None,
        poll_s: float = 0.5,
        page: int = PAGE,
    ) -> None:
        self._client = client
        self._positions = positions
        self._on_instance = on_instance
        self._on_changed = on_changed
        self._on_behind = on_behind
        self._poll_s = poll_s
        self._page = page
        self._state = FollowState.FOLLOWING
        self._position: Position | None = None
        self._turn = threading.Lock()
        self._woken = threading.Event()

    @property
    def state(self) -> FollowState:
        """How following goes."""
        return self._state

    @property
    def position(self) -> Position:
        """The last change that was delivered."""
        if self._position is None:
            self._position = self._positions.load() or Position()
        return self._position

    def poll_once(self) -> Poll:
        """Look into the log once and deliver what is new.

        Returns:
            What it gave. An Orthanc that does not answer is a state, no error.
        """
        with self._turn:
            if self._state is FollowState.BEHIND:
                return Poll(0, more=False, state=self._state)
            page = self._ask()
            if page is None:
                return Poll(0, more=False, state=self._state)
            reason = _why_behind(self.position, page)
            if reason is not None:
                self._fall_behind(reason)
                return Poll(0, more=False, state=self._state)
            delivered, whole = self._deliver(page.changes)
            return Poll(delivered, more=whole and not page.done, state=self._state)

    def reconcile(self) -> None:
        """Take the log as it is now, and deliver all its instances again; who receives them knows them by identity."""
        with self._turn:
            self._save(Position())
            self._state = FollowState.FOLLOWING
        self.wake()

    def wake(self) -> None:
        """Look now: something has come."""
        self._woken.set()

    def run(self, stop: threading.Event) -> None:
        """Look again and again, until told to stop (`stop.set()`, then `wake()` so that it is noticed at once).

        Args:
            stop: Ends it.
        """
        while not stop.is_set():
            self._woken.clear()
            try:
                more = self.poll_once().more
            except Exception:  # noqa: BLE001 - a thread of its own: nobody would hear of its end
                _log.exception("following Orthanc's change log failed; trying again")
                more = False
            if not more:
                stop.wait(SHORTEST_PAUSE_S)
                self._woken.wait(self._poll_s)

    def _ask(self) -> ChangePage | None:
        """The changes from our position on, that one included; None when Orthanc does not answer."""
        try:
            # One more than asked for: the change at our position tells whether the log is still the same.
            page = self._client.changes(max(self.position.seq - 1, 0), self._page + 1)
        except OrthancUnreachable as error:
            self._wait_for_orthanc(error)
            return None
        if self._state is FollowState.WAITING:
            _log.warning("Orthanc answers again; its change log is read on from %d", self.position.seq)
            self._state = FollowState.FOLLOWING
        return page

    def _wait_for_orthanc(self, error: PacsError) -> None:
        if self._state is not FollowState.WAITING:
            _log.warning("%s; waiting for it", error)
            self._state = FollowState.WAITING

    def _fall_behind(self, reason: str) -> None:
        _log.error("Orthanc's change log is not the one that was followed: %s", reason)
        self._state = FollowState.BEHIND
        if self._on_behind is not None:
            self._on_behind(reason)

    def _deliver(self, changes: list[Change]) -> tuple[int, bool]:
        """Deliver instances, and keep the position of what was delivered, however this ends.

        Returns:
            How many were delivered, and whether none was put off.
        """
        delivered = 0
        reached = start = self.position
        try:
            for change in changes:
                if change.seq <= start.seq:
                    continue
                if change.type == NEW_INSTANCE:
                    if not self._on_instance(change.resource_id):
                        return delivered, False
                    delivered += 1
                elif change.type in UPDATES and self._on_changed is not None:
                    self._on_changed(_changed(change))
                reached = Position.of(change)
        finally:
            if reached != start:
                self._save(reached)
        return delivered, True

    def _save(self, position: Position) -> None:
        self._positions.save(position)
        self._position = position


def _changed(change: Change) -> ChangedEvent:
    return ChangedEvent.model_validate({
        "id": change.resource_id,
        "at": seconds(change.date),
        "level": change.level.lower(),
        "what": UPDATES[change.type],
    })


def _why_behind(position: Position, page: ChangePage) -> str | None:
    """Why the log cannot be the one that the position is from; None when it can."""
    if not page.changes:
        if page.last < position.seq:
            return f"it ends at {page.last}, and we had read up to {position.seq} (a restored backup?)"
        return None
    first = page.changes[0]
    if first.seq == position.seq and Position.of(first) != position:
        return f"change {position.seq} was about {position.resource_id} and is now about {first.resource_id}"
    return None
