"""Turnaround runs: one series to one side, and when its results were computed and could be found."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.observer import found_at
from benchmarks.sender import SCANNER, send, send_at_pace
from benchmarks.turnaround_series import FreshSeries, fresh_series
from tests.node_under_test import NodeUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.source import Source
    from benchmarks.stock_chain import StockChain
    from mapnode.pacs.orthanc_client import OrthancClient

SETTLE_S, PUBLISH_QUIET_S = 0.5, 5.0
RULES = {"rules": [{"name": "ct", "app": "threshold", "when": [{"attribute": "Modality", "equals": "CT"}]}]}
APPS = Path("benchmarks/apps")
STEPS = ("stage", "run", "check", "confirm", "store")
COMPLETE = "complete:"
"""How the reason of a job begins whose series somebody stated to be complete."""


@dataclass(frozen=True)
class Run:
    """One series on one side; seconds after the last C-STORE response.

    Attributes:
        computed_s: The result was there.
        found_s: SEG and SR could be found.
        threshold_s: What the segmentation took (S).
        parts_s: Where our time went.
        corroborated: The result went out because somebody stated that the series is complete.
    """

    computed_s: float
    found_s: float
    threshold_s: float
    parts_s: dict[str, float] = field(default_factory=dict)
    corroborated: bool = False


@dataclass(frozen=True)
class Row:
    """The runs of one side on one kind of series."""

    contender: str
    series: str
    slices: int
    runs: tuple[Run, ...]

    def median(self, what: Callable[[Run], float]) -> float:
        """The median of something over the runs, in s."""
        return median(map(what, self.runs))

    @property
    def computed_s(self) -> float:
        """Median."""
        return self.median(lambda run: run.computed_s)

    @property
    def found_s(self) -> float:
        """Median."""
        return self.median(lambda run: run.found_s)

    @property
    def threshold_s(self) -> float:
        """Median."""
        return self.median(lambda run: run.threshold_s)


class Ours:
    """A node that waits as it does by default, its worker warm."""

    def __init__(self, folder: Path, slots: int) -> None:
        """Make it; it is not started.

        Args:
            folder: Where it lives.
            slots: Jobs at the same time.
        """
        os.environ["MAPNODE_APPS"] = str(APPS.resolve())
        self.node = NodeUnderTest(
            folder, rules=RULES, settle_s=SETTLE_S, publish_quiet_s=PUBLISH_QUIET_S, workers=slots
        )

    def run(self, client: OrthancClient, series: FreshSeries, last: float) -> Run:
        """Wait for the results of a series whose last C-STORE response came at a time, seconds since the epoch.

        Raises:
            RuntimeError: If its job did not end as done.
        """
        found = found_at(client, series.study_instance_uid)
        job = self.node.ended_job(series.series_instance_uid)
        if job["state"] != "done":
            raise RuntimeError(f"job {job['id']} is {job['state']}: {job['reason']}")
        at = {line["event"]: line["at"] for line in job["history"]}
        output = self.node.var / "jobs" / job["id"] / "output" / "result.json"
        threshold_s = json.loads(output.read_text())["timings_s"]["Threshold"]
        return Run(at["waiting"] - last, found - last, threshold_s, _parts(job, last), COMPLETE in job["reason"])


def _parts(job: dict[str, Any], last: float) -> dict[str, float]:
    """Where the time of a job went: until it was queued and began, its steps, and what is between them."""
    at = {line["event"]: line["at"] for line in job["history"]}
    steps = {step["name"]: step["seconds"] for step in job["steps"]}
    began = at["stage"]
    parts = {"settle": SETTLE_S, "decide": at["queued"] - last - SETTLE_S, "start": began - at["queued"]}
    parts |= {name: steps[name] for name in STEPS}
    return parts | {"wait": at["publishing"] - at["waiting"]}


def stock_run(chain: StockChain, series: FreshSeries, last: float) -> Run:
    """Wait for what the stock chain makes of a series."""
    found = found_at(chain.client, series.study_instance_uid)
    (arriving,) = [one for one in chain.series.values() if one.computed_at > last]
    return Run(arriving.computed_at - last, found - last, arriving.threshold_s)


class Courier:
    """Makes series that nobody has seen, and sends them."""

    def __init__(self, folder: Path, source: Source) -> None:
        """Bind it.

        Args:
            folder: For its files.
            source: Answers how many instances a series has, to who received it from there.
        """
        self._folder = folder
        self._source = source
        self._numbers = count()
        self._name = f"bench-{time.time_ns()}"

    def make(self, template: Sequence[Path]) -> FreshSeries:
        """A series of its own study and patient."""
        number = next(self._numbers)
        return fresh_series(template, self._folder / str(number), f"{self._name}-{number}")

    def deliver(
        self, template: Sequence[Path], port: int, calling: str = SCANNER, pace: float | None = None
    ) -> tuple[FreshSeries, float]:
        """Make, send and remove a series; with it, when the last C-STORE response came, seconds since the epoch."""
        series = self.make(template)
        self._source.has(series)
        last = send(series.files, port, calling) if pace is None else send_at_pace(series.files, port, pace, calling)
        series.remove()
        return series, last
