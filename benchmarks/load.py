"""Load benchmark: from a folder of files to voxels, ours against three others and against what the machine allows.

Series of 512 x 512, made here: 300 slices raw, the same in JPEG 2000 lossless, 1,200 slices raw. Files are in the page
cache. Each contender runs in a process of its own that has imported before; they take turns, one warm-up and five
loads. dcm2niix is a program: its start and the file that it writes count, its time is that of its process.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from benchmarks.load_contenders import PIXEL_BYTES
from benchmarks.load_series import bits_a_pixel, make_jpeg_2000, make_raw

ROUNDS = 5
OURS = "mapnode"
EVERYBODY = (OURS, "SDK", "SimpleITK", "dcm2niix", "bound")
GOAL_RAW_SDK = 3.0
GOAL_JPEG_2000_SDK = 1.6
GOAL_PEAK = 1.5
"""Peak memory beyond the interpreter, in volumes of int16."""
GOAL_SCALING = (3.4, 4.6)
"""1,200 slices against 300: 4, within 15 %."""
RESULTS = Path("build/bench")


@dataclass
class Measurement:
    """One contender on one series.

    Attributes:
        series: Name of the series.
        contender: Who loaded it.
        slices: Number of slices.
        seconds: Of each load but the first.
        peak_bytes: Most memory beyond what the process held before its first load.
        sum: Sum of the voxels in HU.
    """

    series: str
    contender: str
    slices: int
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    sum: int | None = None

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """Peak memory in volumes of int16."""
        return self.peak_bytes / (self.slices * PIXEL_BYTES)

    def add(self, answer: dict[str, Any], *, first: bool) -> None:
        """Take an answer: the first load warms caches and shows the peak, the others count.

        Raises:
            ValueError: If the voxels are not those of the load before.
        """
        if first:
            self.peak_bytes, self.sum = answer["peak_bytes"], answer["sum"]
            return
        if answer["sum"] != self.sum:
            raise ValueError(f"{self.contender} loaded {self.series} twice and got two sums")
        self.seconds.append(answer["seconds"])


class Contender:
    """The process of one contender, ready to load one folder again and again."""

    def __init__(self, name: str, folder: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.load_contenders", name, str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        self.measurement = Measurement(folder.name, name, sum(1 for _ in folder.iterdir()))
        self._read()

    def load(self, *, first: bool) -> None:
        """Load once."""
        requests: IO[str] | None = self.process.stdin
        assert requests is not None
        print(file=requests, flush=True)
        self.measurement.add(json.loads(self._read()), first=first)

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.measurement.contender} failed on {self.measurement.series}; see above")
        return line


def take_turns(entries: list[tuple[str, Path]]) -> list[Measurement]:
    """Let contenders load by turns.

    Raises:
        ValueError: If two of them disagree on the voxels of a series.
    """
    contenders = [Contender(name, folder) for name, folder in entries]
    for number in range(ROUNDS + 1):
        for contender in contenders:
            contender.load(first=number == 0)
    for contender in contenders:
        contender.end()
    measurements = [contender.measurement for contender in contenders]
    for series in {m.series for m in measurements}:
        sums = {m.contender: m.sum for m in measurements if m.series == series and m.sum is not None}
        if len(set(sums.values())) != 1:
            raise ValueError(f"the voxels of {series} differ: {sums}")
    return measurements


def table(measurements: list[Measurement]) -> str:
    """Medians as Markdown; factors are against ours in the same turns, the bound against the others."""
    lines = [
        "| series | contender | median s | fastest to slowest s | ms a slice | ours is faster by | peak, volumes |",
        "|---|---|---|---|---|---|---|",
    ]
    ours = {m.series: m for m in measurements if m.contender == OURS}
    for m in measurements:
        factor = m.median / ours[m.series].median
        lines.append(
            f"| {m.series} | {m.contender} | {m.median:.3f} | {min(m.seconds):.3f} to {max(m.seconds):.3f} "
            f"| {1000 * m.median / m.slices:.2f} | {factor:.2f} "
            f"| {'in its own process' if m.contender == 'dcm2niix' else f'{m.peak:.2f}'} |"
        )
    return "\n".join(lines)


def goals(
    raw: dict[str, Measurement], packed: dict[str, Measurement], short: Measurement, long: Measurement
) -> list[tuple[bool, str]]:
    """Each goal: whether it holds, and the figures."""
    found = []
    for series, name, others, least in (
        ("raw", raw, ("SDK",), GOAL_RAW_SDK),
        ("raw", raw, ("SimpleITK", "dcm2niix"), 1.0),
        ("JPEG 2000", packed, ("SDK",), GOAL_JPEG_2000_SDK),
    ):
        for other in others:
            factor = name[other].median / name[OURS].median
            found.append((factor >= least, f"{series}: {factor:.2f} times as fast as {other} (at least {least:g})"))
    for series, name in (("raw", raw), ("JPEG 2000", packed)):
        peak = name[OURS].peak
        found.append((peak <= GOAL_PEAK, f"{series}: peak memory {peak:.2f} volumes (at most {GOAL_PEAK:g})"))
    low, high = GOAL_SCALING
    factor = long.median / short.median
    seconds = f"{long.median:.3f} s against {short.median:.3f} s"
    found.append((low <= factor <= high, f"1,200 slices: {factor:.2f} times 300, {seconds} ({low:g} to {high:g})"))
    return found


def measure(folder: Path) -> tuple[list[Measurement], list[tuple[bool, str]], str]:
    """Make the series, let all load them; the measurements, the goals, and what the series are."""
    raw, long = make_raw(folder / "raw-300", 300), make_raw(folder / "raw-1200", 1200)
    packed = make_jpeg_2000(raw, folder / "jpeg2000-300")
    made = f"JPEG 2000: {bits_a_pixel(packed, 300 * PIXEL_BYTES // 2):.2f} bits a pixel"
    first = take_turns([(name, raw) for name in EVERYBODY])
    second = take_turns([(name, packed) for name in EVERYBODY])
    third = take_turns([(OURS, raw), (OURS, long), ("bound", long)])
    by_name = [{m.contender: m for m in turns} for turns in (first, second)]
    return [*first, *second, *third[1:]], goals(*by_name, *third[:2]), made


def main() -> int:
    """Measure, print and write the table; 1 where a goal does not hold."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as folder:
        measurements, reached, made = measure(Path(folder).resolve())
    lines = [table(measurements), "", made, *(f"{'holds' if holds else 'FAILS'}  {text}" for holds, text in reached)]
    text = "\n".join(lines)
    print(text)
    (RESULTS / "load.md").write_text(text + "\n")
    content = {"measurements": [asdict(m) for m in measurements], "goals": [list(goal) for goal in reached]}
    (RESULTS / "load.json").write_text(json.dumps(content, indent=1) + "\n")
    return int(not all(holds for holds, _ in reached))


if __name__ == "__main__":
    sys.exit(main())
