"""Arrivals: what came of a series, when, and in which rhythm; kept in memory while it matters."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mapnode.intake.completeness import Corroboration
    from mapnode.pacs.events import InstanceEvent

RECENT = 20
"""Gaps between arrivals that say how fast a sender is."""


@dataclass
class SeriesArrivals:
    """A series, as it arrives. Times are monotonic seconds: a clock that is set changes nothing.

    Attributes:
        series_id: Orthanc's identifier.
        last: When the last instance came.
        instances: By Orthanc's identifier, as far as events told of them.
        gaps_s: Between the last arrivals.
        recalls: Jobs that late instances called back.
        pending: Whether it grew and was not decided since.
        forced: Somebody asked for it again.
        has_hole: Instance Numbers leave some out; known after the first look.
        looked: How many instances there were at the last look.
        study_id: Orthanc's identifier of its study; empty before the first look.
        corroborations: What is said of its completeness.
        committed: Its sender asked for storage commitment since the last instance: it has sent all that it has.
        not_before: It is not looked at again before this.
        is_staged: Slices of it were decoded beforehand.
    """

    series_id: str
    last: float
    instances: dict[str, InstanceEvent] = field(default_factory=dict)
    gaps_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    recalls: int = 0
    pending: bool = True
    forced: bool = False
    has_hole: bool = False
    looked: int = 0
    study_id: str = ""
    corroborations: list[Corroboration] = field(default_factory=list)
    committed: bool = False
    not_before: float = 0.0
    is_staged: bool = False

    def add(self, event: InstanceEvent, now: float) -> bool:
        """Take an instance.

        Returns:
            Whether it is news: one that came again unchanged is none.
        """
        known = self.instances.get(event.id)
        self.instances[event.id] = event
        if known is not None and known.md5 == event.md5 != "":
            return False
        if known is None and len(self.instances) > 1:
            self.gaps_s.append(now - self.last)
        self.touch(now)
        return True

    def touch(self, now: float) -> None:
        """Something about the series changed: it has to come to rest again."""
        self.last = now
        self.pending = True
        self.has_hole = False
        self.corroborations.clear()
        self.committed = False

    @property
    def calling_aet(self) -> str:
        """AE title of its sender; empty where no event told of it."""
        return next((event.calling_aet for event in self.instances.values() if event.calling_aet), "")
