"""Turnaround benchmark: from the last C-STORE response to SEG and SR, ours against a stock chain; intake and bursts.

    python -m benchmarks.turnaround [--rounds 5] [--slices 40 112 300] ...

Everything is on this machine and its loopback.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread

from benchmarks.burst import burst, jobs_that_are_wrong
from benchmarks.intake import measure_intake
from benchmarks.load_series import make_jpeg_2000, make_raw
from benchmarks.source import VIEWER, Source
from benchmarks.stock_chain import stock_chain
from benchmarks.turnaround_report import (
    CORROBORATED,
    NATIVE,
    OURS,
    PACED_NATIVE,
    PACED_PACKED,
    PACKED,
    STOCK,
    Figures,
    describe_machine,
    goals,
    one_line,
    table,
)
from benchmarks.turnaround_runs import Courier, Ours, Row, stock_run

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from benchmarks.stock_chain import StockChain
    from benchmarks.turnaround_runs import Run

RESULTS = Path("build/bench")
DECODED_SAMPLE = 10
"""Bare decoding is timed on one slice of so many."""


class Benchmark:
    """Both sides, running, and the series that they get."""

    def __init__(self, options: Namespace, folder: Path, stack: ExitStack) -> None:
        """Make the series and start both sides; the stack stops them."""
        self.options = options
        self.folder = folder
        self.native = sorted(make_raw(folder / "native", max(*options.slices, options.burst_slices)).iterdir())
        self.packed = sorted(make_jpeg_2000(folder / "native", folder / "packed").iterdir())
        source = Source()
        self.courier = Courier(folder / "sent", source)
        self.ours = Ours(folder / "ours", options.slots)
        stack.enter_context(source.serve(self.ours.node.receiver_port))
        self.ours.node.start()
        stack.callback(self.ours.node.stop)
        self.client = stack.enter_context(self.ours.node.client())
        self.stock: StockChain = stack.enter_context(stock_chain(folder / "stock", options.slots))
        self.figures = Figures()

    def turnaround(self) -> None:
        """All series, each side in its turn."""
        for slices in self.options.slices:
            template = self.native[:slices]
            self._take_turns(
                slices,
                {
                    (CORROBORATED, NATIVE): lambda t=template: self._our_run(t, VIEWER),
                    (OURS, NATIVE): lambda t=template: self._our_run(t),
                    (STOCK, NATIVE): lambda t=template: self._stock_run(t),
                },
            )
        slices = max(self.options.slices)
        packed, native = self.packed[:slices], self.native[:slices]
        self._take_turns(slices, {(CORROBORATED, PACKED): lambda: self._our_run(packed, VIEWER)})
        self.figures.decoding_s = decoding_s(packed)
        if pace := self.options.pace:
            self._take_turns(
                slices,
                {
                    (CORROBORATED, PACED_NATIVE): lambda: self._our_run(native, VIEWER, pace),
                    (CORROBORATED, PACED_PACKED): lambda: self._our_run(packed, VIEWER, pace),
                },
            )

    def intake(self) -> None:
        """C-STORE alone."""
        template = self.native[: max(self.options.slices)]
        self.figures.intake_s = measure_intake(
            self.folder / "intake", template, self.ours, self.client, self.courier, self.options.rounds
        )

    def burst(self) -> None:
        """Many at once, on each side."""
        options, template = self.options, self.native[: self.options.burst_slices]
        self.figures.ours_burst, series = burst(
            template, self.client, self.ours.node.dicom_port, self.courier, options.studies, options.associations
        )
        self.figures.wrong_jobs = jobs_that_are_wrong(self.ours, series)
        self.figures.stock_burst, _ = burst(
            template,
            self.stock.client,
            self.stock.dicom_port,
            self.courier,
            options.stock_studies,
            options.associations,
        )

    def _take_turns(self, slices: int, sides: dict[tuple[str, str], Callable[[], Run]]) -> None:
        """So many rounds, in which each side has its turn; one more before them warms up."""
        runs: dict[tuple[str, str], list[Run]] = {side: [] for side in sides}
        for _ in range(self.options.rounds + 1):
            for side, run in sides.items():
                runs[side].append(run())
        rows = [Row(*side, slices, tuple(found[1:])) for side, found in runs.items()]
        self.figures.rows += rows
        for row in rows:
            print(one_line(Figures([row]), []), file=sys.stderr, flush=True)

    def _our_run(self, template: list[Path], calling: str = "SCANNER", pace: float | None = None) -> Run:
        series, last = self.courier.deliver(template, self.ours.node.dicom_port, calling, pace)
        return self.ours.run(self.client, series, last)

    def _stock_run(self, template: list[Path]) -> Run:
        series, last = self.courier.deliver(template, self.stock.dicom_port)
        return stock_run(self.stock, series, last)


def decoding_s(files: list[Path]) -> float:
    """Seconds that one core needs for the pixels of a series, with the decoder alone; a sample, scaled."""
    sample = [dcmread(path) for path in files[::DECODED_SAMPLE]]
    started = time.perf_counter()
    for dataset in sample:
        dataset.pixel_array  # noqa: B018 - decodes
    return (time.perf_counter() - started) * len(files) / len(sample)


def parse(arguments: list[str]) -> Namespace:
    """The options; their defaults are the benchmark of the issue."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="runs that count, beside one that warms up")
    parser.add_argument("--slices", type=int, nargs="+", default=[40, 112, 300], help="at most 300")
    parser.add_argument("--pace", type=float, default=10.0, help="instances a second of a scanner; 0 leaves that out")
    parser.add_argument("--studies", type=int, default=20, help="of the burst")
    parser.add_argument("--stock-studies", type=int, default=20, help="the same for the stock chain; fewer are scaled")
    parser.add_argument("--burst-slices", type=int, default=100)
    parser.add_argument("--associations", type=int, default=8)
    parser.add_argument("--slots", type=int, default=1, help="jobs, and processes of the stock chain, at the same time")
    return parser.parse_args(arguments)


def main(arguments: list[str], results: Path = RESULTS) -> int:
    """Measure, print and write the table; 1 where a goal does not hold."""
    options = parse(arguments)
    # Whoever ends us ends both sides with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    before = describe_machine()
    results.mkdir(parents=True, exist_ok=True)
    Path("build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder, ExitStack() as stack:
        benchmark = Benchmark(options, Path(folder).resolve(), stack)
        # First, while no Orthanc holds more than another.
        benchmark.intake()
        benchmark.turnaround()
        benchmark.burst()
    figures = benchmark.figures
    reached = goals(figures)
    lines = [
        table(figures),
        *(f"{'holds' if holds else 'FAILS'}  {text}" for holds, text in reached),
        f"measured on {before}; at its end {describe_machine()}; medians of {options.rounds}",
        one_line(figures, reached),
    ]
    print("\n".join(lines))
    (results / "turnaround.md").write_text("\n".join(lines) + "\n")
    content = {"options": vars(options), "figures": asdict(figures), "goals": [list(goal) for goal in reached]}
    (results / "turnaround.json").write_text(json.dumps(content, indent=1) + "\n")
    return int(not all(holds for holds, _ in reached))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
