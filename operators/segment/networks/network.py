"""Network: what the engine of every format gives, and how it tells of its progress."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from operators.core.errors import TimeBudgetExceeded
from operators.segment.engine import Report
from operators.segment.networks.settings import NetworkSettings

PREPARED, COMPUTED = 0.1, 0.85
"""Of the whole work: what lies before the first tile, and what is done after the last one."""
EARLY_TILES = 0.05
"""Share of the tiles after which their pace tells how long the rest takes."""
CLEARLY = 2.0
"""So many times the budget is expected before a run is ended ahead of it: a pace changes."""


@dataclass(frozen=True, eq=False)
class Image:
    """A volume turned to the orientation that a model was trained on.

    Attributes:
        array: `(slices, rows, columns)`; no padding: the lowest value stands there.
        affine_lps: `(4, 4)`; takes (slice, row, column, 1) to mm in LPS.
    """

    array: NDArray[Any]
    affine_lps: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between slices, rows, columns."""
        slices, rows, columns = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says, on the grid of its image.

    Attributes:
        labels: `(slices, rows, columns)`, the model's own label values.
        probabilities: For each of the model's labels by name `(slices, rows, columns)`, 0 to 1; None where it gives
            none or they are too large.
    """

    labels: NDArray[np.uint8]
    probabilities: Mapping[str, NDArray[np.float32]] | None = None


class Network(Protocol):
    """A loaded model."""

    @property
    def labels(self) -> Mapping[str, tuple[int, ...]]:
        """Label values by the model's own names, without the background; values may belong to several names."""

    def predict(self, image: Image, settings: NetworkSettings, watch: Watch) -> Prediction:
        """Segment an image.

        Raises:
            TimeBudgetExceeded: If it takes longer than the settings allow.
            RunCancelled: If nobody wants the run any more.
            ModelError: If the model cannot be run on an image like this.
        """


class Watch:
    """Tells of progress and keeps the time budget."""

    def __init__(self, report: Report, time_budget_s: float | None = None) -> None:
        """Start the clock.

        Args:
            report: Hears of the fraction done; raises where the run is cancelled.
            time_budget_s: Longest time, or None.
        """
        self._report = report
        self._budget_s = time_budget_s
        self._started = time.monotonic()
        self._first_tile: float | None = None

    def say(self, fraction: float, step: str) -> None:
        """A step begins."""
        self._report(fraction, step)

    def tile(self, done: int, total: int) -> None:
        """So many tiles are done.

        Raises:
            TimeBudgetExceeded: If the budget is used up, or will be by far at the pace so far.
        """
        now = time.monotonic()
        if self._first_tile is None:
            self._first_tile = now
        self._report(PREPARED + (COMPUTED - PREPARED) * min(1.0, done / total), f"tile {done} of {total}")
        if self._budget_s is None or done >= total:
            return
        elapsed = now - self._started
        # The first tile also loads libraries and chooses algorithms.
        pace = (now - self._first_tile) / (done - 1) if done > 1 else 0.0
        expected = elapsed + pace * (total - done)
        if elapsed > self._budget_s or (done > total * EARLY_TILES and expected > CLEARLY * self._budget_s):
            raise TimeBudgetExceeded(self._budget_s, expected)
