"""SEG benchmark: from a label map to a file, ours against stock highdicom, the SDK's writer, and the bound.

Maps of ellipsoids of 512 x 512, made here. Each contender runs in a process of its own that has imported before and
holds map and headers; they take turns, one write that warms up and shows the peak of memory, then five. Files go to the
page cache. SEG of one case must have equally many frames, or the run ends with an error.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.segmentation_contenders import Case
from operators.write.write_segmentation import SegmentationType

ROUNDS = 5
OURS = "mapnode"
ONE, TWENTY, ALL = (Case(SegmentationType.BINARY, segments) for segments in (1, 20, 104))
OVERLAPPING = Case(SegmentationType.BINARY, 5, overlapping=True)
LONG = Case(SegmentationType.BINARY, 104, slices=1200)
NATIVE, RLE = (Case(form, 104) for form in (SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE))
TURNS = (
    (ONE, (OURS, "highdicom", "SDK", "bound")),
    (TWENTY, (OURS, "highdicom", "SDK", "bound")),
    (ALL, (OURS, "highdicom", "SDK", "bound")),
    (OVERLAPPING, (OURS, "highdicom")),
    (NATIVE, (OURS, "highdicom")),
    (RLE, (OURS, "highdicom")),
)
GOAL_SDK_TWENTY = 5.0
GOAL_HIGHDICOM_ALL = 4.0
GOAL_BOUND_ALL = 2.0
GOAL_PEAK = 2.0
"""Peak memory beyond the map, in maps of one byte a voxel."""
GOAL_SCALING = 1.15
"""1,200 slices against 300: 4 times as long, or as much longer as the bound takes, and 15 %."""
RESULTS = Path("build/bench")


@dataclass
class Measurement:
    """One contender on one case.

    Attributes:
        case: What was written.
        contender: Who wrote it.
        seconds: Of each write but the first.
        peak_bytes: Most memory in the first write, beyond what the process held before it.
        file_bytes: Size of the file.
        frames: Number of Frames, if the file is a SEG.
    """

    case: Case
    contender: str
    seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0
    file_bytes: int = 0
    frames: int | None = None

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def peak(self) -> float:
        """Peak memory in label maps."""
        return self.peak_bytes / self.case.map_bytes


class Contender:
    """The process of one contender, ready to write one case again and again."""

    def __init__(self, name: str, case: Case, folder: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.segmentation_contenders", name, case.to_json()]
        self.process = subprocess.Popen(  # noqa: S603
            [*command, str(folder / f"{name}-{case.slices}.dcm")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.measurement = Measurement(case, name)
        self._read()

    def write(self, *, first: bool) -> None:
        """Write once; the first time warms caches and shows the peak."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        answer = json.loads(self._read())
        measured = self.measurement
        if first:
            measured.peak_bytes, measured.file_bytes, measured.frames = (
                answer[key] for key in ("peak", "bytes", "frames")
            )
        else:
            measured.seconds.append(answer["seconds"])

    def end(self) -> None:
        """Let the process end."""
        self.process.communicate()

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.measurement.contender} failed on {self.measurement.case.name}; see above")
        return line


def take_turns(entries: list[tuple[str, Case]], folder: Path) -> list[Measurement]:
    """Let contenders write by turns."""
    contenders = [Contender(name, case, folder) for name, case in entries]
    for number in range(ROUNDS + 1):
        for contender in contenders:
            contender.write(first=number == 0)
    for contender in contenders:
        contender.end()
    measurements = [contender.measurement for contender in contenders]
    print(", ".join(f"{m.contender} {m.median:.3f} s ({m.case.name})" for m in measurements), flush=True)
    return measurements


def compare(case: Case, names: tuple[str, ...], folder: Path) -> dict[str, Measurement]:
    """Let contenders write one case by turns.

    Raises:
        ValueError: If two of them disagree on the number of frames.
    """
    found = {m.contender: m for m in take_turns([(name, case) for name in names], folder)}
    frames = {m.contender: m.frames for m in found.values() if m.frames is not None}
    if len(set(frames.values())) != 1:
        raise ValueError(f"{case.name}: numbers of frames differ: {frames}")
    return found


def table(results: list[dict[str, Measurement]]) -> str:
    """Medians as Markdown; factors are against ours in the same turns."""
    lines = [
        "| case | contender | median s | fastest to slowest s | ours is faster by | peak, maps | frames | file MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for m in result.values():
            factor = m.median / result[OURS].median
            lines.append(
                f"| {m.case.name} | {m.contender} | {m.median:.3f} | {min(m.seconds):.3f} to {max(m.seconds):.3f} "
                f"| {factor:.2f} | {m.peak:.2f} | {m.frames or ''} | {m.file_bytes / 1e6:.1f} |"
            )
    return "\n".join(lines)


def goals(by_case: dict[Case, dict[str, Measurement]], turns: list[Measurement]) -> list[tuple[bool, str]]:
    """Each goal: whether it holds, and the figures."""
    twenty, every = by_case[TWENTY], by_case[ALL]
    sdk = twenty["SDK"].median / twenty[OURS].median
    stock = every["highdicom"].median / every[OURS].median
    bound = every[OURS].median / every["bound"].median
    short, short_bound, long, long_bound = turns
    scaling, bound_scaling = long.median / short.median, long_bound.median / short_bound.median
    peak = max(long.peak, *(result[OURS].peak for result in by_case.values()))
    return [
        (sdk >= GOAL_SDK_TWENTY, f"20 segments: {sdk:.2f} times as fast as the SDK (at least {GOAL_SDK_TWENTY:g})"),
        (
            stock >= GOAL_HIGHDICOM_ALL,
            f"104 segments: {stock:.2f} times as fast as highdicom (at least {GOAL_HIGHDICOM_ALL:g})",
        ),
        (bound <= GOAL_BOUND_ALL, f"104 segments: {bound:.2f} times the bound (at most {GOAL_BOUND_ALL:g})"),
        (peak <= GOAL_PEAK, f"peak memory: at most {peak:.2f} label maps in any case (at most {GOAL_PEAK:g})"),
        (
            scaling <= GOAL_SCALING * max(4, bound_scaling),
            f"1,200 slices take {scaling:.2f} times as long as 300, the bound {bound_scaling:.2f} times "
            f"(at most {GOAL_SCALING:g} times 4 or the bound's), {long.frames} frames against {short.frames}",
        ),
    ]


def main() -> int:
    """Measure, print and write the table; 1 where a goal does not hold."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir="build") as temporary:
        folder = Path(temporary).resolve()
        by_case = {case: compare(case, names, folder) for case, names in TURNS}
        turns = take_turns([(name, case) for case in (ALL, LONG) for name in (OURS, "bound")], folder)
    results = [*by_case.values(), {m.contender: m for m in turns if m.case is LONG}]
    reached = goals(by_case, turns)
    lines = [table(results), "", *(f"{'holds' if holds else 'FAILS'}  {text}" for holds, text in reached)]
    text = "\n".join(lines)
    print(text)
    (RESULTS / "segmentation.md").write_text(text + "\n")
    measurements = [
        {"case": m.case.name, "contender": m.contender, "seconds": m.seconds, "peak_bytes": m.peak_bytes,
         "file_bytes": m.file_bytes, "frames": m.frames}
        for result in results for m in result.values()
    ]  # fmt: skip
    content = {"measurements": measurements, "goals": [list(goal) for goal in reached]}
    (RESULTS / "segmentation.json").write_text(json.dumps(content, indent=1) + "\n")
    return int(not all(holds for holds, _ in reached))


if __name__ == "__main__":
    sys.exit(main())
