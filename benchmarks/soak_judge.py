"""Soak judge: which series of samples grow, by a slope that single outliers do not move, and which of them may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import theilslopes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WARM_UP_S = 480.0
"""Not judged: caches and allocators fill. Orthanc (69 threads, each with a share of glibc's arenas, and a cache of what
came last) took 440 s to the level that it kept."""
WARM_UP_SHARE = 0.4
"""Of a shorter run."""
JUDGED_S = 240.0
"""Less than this after the warm-up is not judged: files come and go with housekeeping, once a minute."""


@dataclass(frozen=True)
class Limit:
    """What a quantity may grow by between warm-up and end: a share of its median, and at least a number."""

    share: float
    least: float


LIMITS = {
    # 5 % is what allocators move by themselves; 4 MB is that of a process of 80 MB.
    "rss_mb": Limit(0.05, 4.0),
    # A leak of one a study would be 100 in ten minutes; connections that come and go are a handful.
    "fds": Limit(0.05, 5.0),
    "sockets": Limit(0.05, 4.0),
    "threads": Limit(0.05, 3.0),
    # Housekeeping should have deleted them a minute ago. Of one that is left behind by each study 100 are there after
    # ten minutes; how many files there are at all only says how fast studies come.
    "overdue": Limit(0.0, 5.0),
}
"""By the last part of the quantity's name; what is not named may grow, and is shown."""


@dataclass(frozen=True)
class Trend:
    """How a quantity moved after the warm-up.

    Attributes:
        name: As `soak_samples.sample` names it.
        start, end: Medians of the first and the last tenth, at least three samples.
        per_hour: Theil-Sen slope: the median of the slopes between all pairs.
        growth: That slope over the time that was looked at.
        allowed: What it may grow by; None where it may.
    """

    name: str
    start: float
    end: float
    per_hour: float
    growth: float
    allowed: float | None

    @property
    def is_leak(self) -> bool:
        """Whether it grew by more than it may."""
        return self.allowed is not None and self.growth > self.allowed


def after_warm_up(samples: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    """The samples that are judged."""
    whole_s = samples[-1]["at"] - samples[0]["at"]
    begin = samples[0]["at"] + min(WARM_UP_S, WARM_UP_SHARE * whole_s)
    return [one for one in samples if one["at"] >= begin]


def trend(name: str, samples: Sequence[Mapping[str, float]]) -> Trend | None:
    """How a quantity moved.

    Args:
        name: The quantity.
        samples: After the warm-up.

    Returns:
        None with fewer than three samples of it.
    """
    points = [(one["at"], one[name]) for one in samples if name in one]
    if len(points) < 3:
        return None
    at, values = np.array(points).T
    edge = max(3, len(points) // 10)
    slope = float(theilslopes(values, at)[0])
    limit = LIMITS.get(name.rpartition(".")[2])
    allowed = None if limit is None else max(limit.least, limit.share * float(np.median(values)))
    start, end = float(np.median(values[:edge])), float(np.median(values[-edge:]))
    return Trend(name, start, end, slope * 3600, slope * float(at[-1] - at[0]), allowed)


def trends(samples: Sequence[Mapping[str, float]]) -> list[Trend]:
    """How all quantities moved after the warm-up; none is judged where that was too short."""
    judged = after_warm_up(samples)
    names = sorted({name for one in judged for name in one} - {"at", "load"})
    found = [one for name in names if not name.endswith(".pid") and (one := trend(name, judged))]
    if judged[-1]["at"] - judged[0]["at"] < JUDGED_S:
        found = [Trend(t.name, t.start, t.end, t.per_hour, t.growth, None) for t in found]
    return found


def restarts(samples: Sequence[Mapping[str, float]]) -> dict[str, int]:
    """How often each process was another one than in the sample before: a restart would hide a leak."""
    names = {name for one in samples for name in one if name.endswith(".pid")}
    seen = {name: [one[name] for one in samples if name in one] for name in sorted(names)}
    return {name.removesuffix(".pid"): len(set(pids)) - 1 for name, pids in seen.items()}
