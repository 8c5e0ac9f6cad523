"""Turnaround report: the table, the goals of the issue and whether they hold, and one line of figures."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.stock_chain import QUIET_S
from benchmarks.turnaround_runs import PUBLISH_QUIET_S, SETTLE_S

if TYPE_CHECKING:
    from benchmarks.burst import Burst
    from benchmarks.turnaround_runs import Row

OURS, CORROBORATED, STOCK = "ours", "ours, corroborated", "stock"
NATIVE, PACKED, PACED_NATIVE, PACED_PACKED = "native", "JPEG 2000", "native, paced", "JPEG 2000, paced"
WORK_S = 0.5
DECODING_MORE_S = 1.0
LEAST_STOCK_FACTOR = 5.0
PACED_TOLERANCE = 0.20
LEAST_INTAKE, LEAST_AGAINST_DEBIAN = 0.95, 2.5


@dataclass
class Figures:
    """All that was measured.

    Attributes:
        rows: Turnaround.
        decoding_s: Bare decoding of the JPEG 2000 series on one core.
        intake_s: Seconds of the native series: bare, node, Debian.
        ours_burst: Our burst.
        stock_burst: The stock chain's.
        wrong_jobs: Of our burst, series that have not exactly one job, done.
    """

    rows: list[Row] = field(default_factory=list)
    decoding_s: float | None = None
    intake_s: dict[str, float] = field(default_factory=dict)
    ours_burst: Burst | None = None
    stock_burst: Burst | None = None
    wrong_jobs: int = 0

    def row(self, contender: str, series: str, slices: int) -> Row | None:
        """One row; None where it was not measured."""
        found = (r for r in self.rows if (r.contender, r.series, r.slices) == (contender, series, slices))
        return next(found, None)

    @property
    def most_slices(self) -> int:
        """Of the longest series: the goals are about it."""
        return max(row.slices for row in self.rows)


Goal = tuple[bool, str]
"""Whether it holds, and the figures."""


def table(figures: Figures) -> str:
    """Medians and ranges as Markdown."""
    lines = [
        "| series | slices | side | computed s | range | SEG and SR found s | range | S s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in figures.rows:
        computed, found = ([getattr(run, name) for run in row.runs] for name in ("computed_s", "found_s"))
        lines.append(
            f"| {row.series} | {row.slices} | {row.contender} | {row.computed_s:.2f} "
            f"| {min(computed):.2f} to {max(computed):.2f} | {row.found_s:.2f} | {min(found):.2f} to {max(found):.2f} "
            f"| {row.threshold_s:.3f} |"
        )
    return "\n".join([*lines, "", *_parts(figures)])


def _parts(figures: Figures) -> list[str]:
    """Where our time goes, for the longest native series."""
    row = figures.row(CORROBORATED, NATIVE, figures.most_slices)
    if row is None:
        return []
    parts = {name: row.median(lambda run, name=name: run.parts_s[name]) for name in row.runs[0].parts_s}
    return [f"parts at {row.slices} slices: " + ", ".join(f"{name} {value:.3f} s" for name, value in parts.items())]


def goals(figures: Figures) -> list[Goal]:
    """Each goal that was measured."""
    return [*_turnaround(figures), *_packed(figures), *_paced(figures), *_intake(figures), *_burst(figures)]


def _turnaround(figures: Figures) -> list[Goal]:
    slices = figures.most_slices
    plain, complete, stock = (figures.row(name, NATIVE, slices) for name in (OURS, CORROBORATED, STOCK))
    if plain is None or complete is None or stock is None:
        return []
    limit = SETTLE_S + WORK_S + complete.threshold_s
    late = PUBLISH_QUIET_S + WORK_S
    factor = stock.found_s / complete.found_s
    stated = all(run.corroborated for run in complete.runs)
    return [
        (complete.computed_s <= limit, f"{slices} slices computed {complete.computed_s:.2f} s (at most {limit:.2f})"),
        (stated, "the source's count let the results go out" if stated else "no result went out by the source's count"),
        (complete.found_s <= limit, f"corroborated: found {complete.found_s:.2f} s (at most {limit:.2f})"),
        (plain.found_s <= late, f"uncorroborated: found {plain.found_s:.2f} s (at most {late:.2f})"),
        (factor >= LEAST_STOCK_FACTOR, f"{factor:.1f} times sooner than the stock chain (at least 5)"),
    ]


def _packed(figures: Figures) -> list[Goal]:
    row = figures.row(CORROBORATED, PACKED, figures.most_slices)
    if row is None or figures.decoding_s is None:
        return []
    cores = len(os.sched_getaffinity(0))
    limit = figures.decoding_s / cores + DECODING_MORE_S
    what = f"decoding {figures.decoding_s:.1f} s over {cores} cores + {DECODING_MORE_S:g} s"
    return [(row.found_s <= limit, f"JPEG 2000 at full speed: found {row.found_s:.2f} s (at most {limit:.2f}: {what})")]


def _paced(figures: Figures) -> list[Goal]:
    native, packed = (figures.row(CORROBORATED, name, figures.most_slices) for name in (PACED_NATIVE, PACED_PACKED))
    if native is None or packed is None:
        return []
    more = packed.found_s / native.found_s - 1
    return [(more <= PACED_TOLERANCE, f"JPEG 2000 at a scanner's pace: {more:+.0%} of native (at most +20%)")]


def _intake(figures: Figures) -> list[Goal]:
    if not figures.intake_s:
        return []
    bare, node, debian = (figures.intake_s[name] for name in ("bare", "node", "Debian"))
    return [
        (bare / node >= LEAST_INTAKE, f"intake: {bare / node:.2f} of bare Orthanc's (at least {LEAST_INTAKE})"),
        (
            debian / node >= LEAST_AGAINST_DEBIAN,
            f"intake: {debian / node:.2f} times that of Debian's Orthanc (at least {LEAST_AGAINST_DEBIAN})",
        ),
    ]


def _burst(figures: Figures) -> list[Goal]:
    ours, stock = figures.ours_burst, figures.stock_burst
    if ours is None or stock is None:
        return []
    stock_s = stock.scaled_s(ours.studies, QUIET_S)
    factor = stock_s / ours.seconds
    scaled = "" if stock.studies == ours.studies else f", scaled from {stock.studies} studies"
    once = ours.wrong == figures.wrong_jobs == 0
    return [
        (
            once,
            f"burst: {ours.studies} studies, {ours.wrong} without one SEG and SR, {figures.wrong_jobs} not done once",
        ),
        (
            factor >= LEAST_STOCK_FACTOR,
            f"burst: {3600 * ours.studies / ours.seconds:.0f} studies an hour, stock chain "
            f"{3600 * ours.studies / stock_s:.0f}{scaled}: {factor:.1f} times (at least 5){_limit(figures, stock_s)}",
        ),
    ]


def _limit(figures: Figures, stock_s: float) -> str:
    """The factor as (stock + S) / (ours + S), a study, and the S at which it falls below the goal."""
    assert figures.ours_burst is not None
    studies = figures.ours_burst.studies
    segmentation = figures.rows[0].threshold_s
    ours, stock = figures.ours_burst.seconds / studies - segmentation, stock_s / studies - segmentation
    most = (stock - LEAST_STOCK_FACTOR * ours) / (LEAST_STOCK_FACTOR - 1)
    return f"; limit ({stock:.2f} + S) / ({ours:.2f} + S), at least 5 up to S = {max(most, 0):.2f} s"


def one_line(figures: Figures, reached: list[Goal]) -> str:
    """The figures that count, in one line."""
    rows = [f"{r.contender} {r.series} {r.slices}: {r.computed_s:.2f}/{r.found_s:.2f}" for r in figures.rows]
    return f"turnaround s computed/found: {'; '.join(rows)}; goals {sum(h for h, _ in reached)} of {len(reached)} hold"


def describe_machine() -> str:
    """What it was measured on."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = models[0].split(":")[1].strip() if models else platform.machine()
    loads = " ".join(f"{load:.1f}" for load in os.getloadavg())
    return f"{len(os.sched_getaffinity(0))} cores, {processor}, Python {platform.python_version()}, load {loads}"
