"""Completeness: when to begin with a series, and when to believe that it is complete. Pure functions.

Nothing in DICOM says that a series has ended, and its geometry proves nothing: every beginning of an ordered send looks
regular. So work begins early and in vain at times, and results go out late: when somebody who knows says that all
instances are here, or when nothing has come for a while.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GAP_FACTOR = 5.0
"""A sender that pauses five times as long as it did before is taken to have ended, for the time being."""
ASK_SHARE, ASK_FACTOR = 0.1, 1.5
"""Whether a series is complete is asked after this share of `settle_s`, or a pause so many times as long as before."""
RECALL_FACTOR = 2.0
"""Each job that a late instance called back makes us wait longer before the next one, and each question so ended."""
COUNTED_RECALLS = 30
"""More of them change nothing, and a float has an end."""
NUMBERED_SHARE = 0.5
"""Instance numbers speak of holes only where they are dense: some scanners count by tens."""


@dataclass(frozen=True)
class Patience:
    """How long the node waits.

    Attributes:
        settle_s: Shortest silence after which a job starts.
        publish_quiet_s: Silence after which results go out without anybody's word that the series is complete.
        missing_wait_s: Longest wait for instances that the source has and that did not come.
    """

    settle_s: float = 0.5
    publish_quiet_s: float = 5.0
    missing_wait_s: float = 60.0


@dataclass(frozen=True)
class Corroboration:
    """What somebody who knows says of a series.

    Attributes:
        instances: How many instances it has.
        by: Who says so, as a sentence's subject.
    """

    instances: int
    by: str


@dataclass(frozen=True)
class Verdict:
    """Whether something may happen now, and why, or why not yet."""

    now: bool
    reason: str


def settle_time_s(gaps_s: Sequence[float], recalls: int, patience: Patience, *, has_hole: bool = False) -> float:
    """The silence after which a job starts.

    Args:
        gaps_s: Times between the last arrivals, in s.
        recalls: Jobs of this series that late instances called back.
        patience: The node's.
        has_hole: Instances are missing in the middle: they will come, or never.

    Returns:
        Seconds, between `settle_s` and `publish_quiet_s`.
    """
    longest = max(patience.settle_s, patience.publish_quiet_s)
    if has_hole:
        return longest
    recalled = RECALL_FACTOR ** min(recalls, COUNTED_RECALLS)
    return min(max(patience.settle_s, GAP_FACTOR * _usual(gaps_s)) * recalled, longest)


def ask_time_s(gaps_s: Sequence[float], asked: int, patience: Patience) -> float:
    """The silence after which it is asked whether a series is complete: not after every instance of a slow sender.

    Args:
        gaps_s: Times between the last arrivals, in s.
        asked: How often it was asked already, each time in vain.
        patience: The node's.

    Returns:
        Seconds.
    """
    return max(ASK_SHARE * patience.settle_s, ASK_FACTOR * _usual(gaps_s)) * RECALL_FACTOR ** min(
        asked, COUNTED_RECALLS
    )


def _usual(gaps_s: Sequence[float]) -> float:
    """A gap that nine of ten do not exceed, in s."""
    return sorted(gaps_s)[math.ceil(0.9 * len(gaps_s)) - 1] if gaps_s else 0.0


def has_hole(instance_numbers: Iterable[int | None]) -> bool:
    """Whether Instance Numbers (0020,0013) leave one out between the lowest and the highest.

    Args:
        instance_numbers: Of all instances; None where one has none.
    """
    numbers = [number for number in instance_numbers if number is not None]
    if len(numbers) < 2 or len(set(numbers)) != len(numbers):
        return False
    span = max(numbers) - min(numbers) + 1
    return len(numbers) != span and len(numbers) >= NUMBERED_SHARE * span


def is_complete(instances: int, corroborations: Sequence[Corroboration]) -> bool:
    """Whether somebody says that so many instances are all, and nobody that there are more."""
    said = [c.instances for c in corroborations]
    return instances in said and max(said) == instances


def may_publish(instances: int, quiet_s: float, corroborations: Sequence[Corroboration], patience: Patience) -> Verdict:
    """Whether results of so many instances may go out now.

    Args:
        instances: That the results were made of.
        quiet_s: For how long nothing has come.
        corroborations: What is said of the series.
        patience: The node's.

    Returns:
        The verdict with its reason.
    """
    if is_complete(instances, corroborations):
        by = next(c.by for c in corroborations if c.instances == instances)
        return Verdict(now=True, reason=f"complete: {by} has {instances} instances, as we do")
    more = [c for c in corroborations if c.instances > instances]
    limit_s = max(patience.missing_wait_s, patience.publish_quiet_s) if more else patience.publish_quiet_s
    known = f"{more[0].by} has {more[0].instances} instances, {instances} came" if more else "nobody states a number"
    if quiet_s >= limit_s:
        return Verdict(now=True, reason=f"nothing came for {limit_s:g} s; {known}")
    return Verdict(now=False, reason=f"waits until nothing came for {limit_s:g} s; {known}")
