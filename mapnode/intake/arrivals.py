"""Arrivals: what came of a series, when, and in which rhythm; kept in memory while it matters."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mapnode.intake.completeness import ask_time_s, settle_time_s

if TYPE_CHECKING:
    from mapnode.intake.completeness import Corroboration, Patience
    from mapnode.intake.deciding import Outlook
    from mapnode.pacs.events import InstanceEvent

RECENT = 20
"""Gaps between arrivals that say how fast a sender is."""


@dataclass
class SeriesArrivals:
    """A series, as it arrives. Times are monotonic seconds: a clock that is set changes nothing.

    Attributes:
        series_id: Orthanc's identifier.
        last: When the last instance came.
        instances: MD5 of each file by Orthanc's identifier, as far as events told of them.
        calling_aet: AE title of the sender, as far as an event told of it.
        called_aet: AE title that it called.
        gaps_s: Between the last arrivals.
        recalls: Jobs that late instances called back.
        pending: Whether it grew and was not decided since.
        forced: Somebody asked for it again.
        has_hole: Instance Numbers leave some out; known after the first look.
        looked: How many instances there were at the last look.
        study_id: Orthanc's identifier of its study; empty before somebody asked for it.
        corroborations: What is said of its completeness.
        committed_at: When its sender asked for storage commitment, and could mean no other study; 0 where it did not
            since the last instance.
        not_before: It is not looked at again before this.
        is_staged: Slices of it were decoded beforehand.
        unread: Files whose headers nobody has read yet, by their UUIDs.
        looked_for: The last arrival after which it was looked at ahead.
        looks: How often it was looked at ahead.
        outlook: What was found then, as long as it may serve for a decision.
        undecided: Rules of which no job could be made when all others were decided; they are tried again.
        is_unreadable: It could not be decided when it was tried last.
        pause_s: For how long it is not tried again then.
    """

    series_id: str
    last: float
    instances: dict[str, str] = field(default_factory=dict)
    calling_aet: str = ""
    called_aet: str = ""
    gaps_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))
    recalls: int = 0
    pending: bool = True
    forced: bool = False
    has_hole: bool = False
    looked: int = 0
    study_id: str = ""
    corroborations: list[Corroboration] = field(default_factory=list)
    committed_at: float = 0.0
    not_before: float = 0.0
    is_staged: bool = False
    unread: list[str] = field(default_factory=list)
    looked_for: float = 0.0
    looks: int = 0
    outlook: Outlook | None = None
    undecided: frozenset[str] = frozenset()
    is_unreadable: bool = False
    pause_s: float = 0.0

    @property
    def is_moving(self) -> bool:
        """Whether nobody knows yet what follows from it as it is now, but for single rules."""
        return self.pending and not self.undecided

    def has_to_decide(self, rule: str) -> bool:
        """Whether a rule was not decided since it changed, or somebody asked for it."""
        return not self.undecided or rule in self.undecided

    def settle_s(self, patience: Patience) -> float:
        """How long nothing may come before it is decided."""
        return settle_time_s(self.gaps_s, self.recalls, patience, has_hole=self.has_hole)

    def ask_s(self, patience: Patience) -> float:
        """How long nothing may come before it is looked at ahead; never once it was, since its last instance."""
        return ask_time_s(self.gaps_s, self.looks, patience) if self.looked_for < self.last else math.inf

    def next_look(self, patience: Patience) -> float:
        """When it is to be looked at ahead or decided."""
        return max(self.not_before, self.last + min(self.settle_s(patience), self.ask_s(patience)))

    def knows(self, event: InstanceEvent) -> bool:
        """Whether an instance came again unchanged."""
        return self.instances.get(event.id) == event.md5 != ""

    def add(self, event: InstanceEvent, now: float) -> None:
        """Take an instance that is news."""
        if self.instances and event.id not in self.instances:
            self.gaps_s.append(now - self.last)
        self.instances[event.id] = event.md5
        if event.calling_aet and not self.calling_aet:
            self.calling_aet, self.called_aet = event.calling_aet, event.called_aet
        self.touch(now)

    def touch(self, now: float) -> None:
        """Something about the series changed: it has to come to rest again."""
        self.last = now
        self.pending = True
        self.has_hole = self.is_unreadable = False
        self.not_before = self.pause_s = 0.0
        self.outlook = None
        self.undecided = frozenset()
        self.corroborations.clear()
        self.committed_at = 0.0
