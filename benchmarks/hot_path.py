"""Hot path benchmark: from the order to SEG and SR in a warm worker, operator by operator, segmentation one threshold.

300 CT slices of 512 x 512, native, decoded beforehand into a stage, and the same without a stage. The app is
benchmarks/apps/threshold; what a run costs besides its threshold is what is measured. SEG and SR must be those of
`mapnode run`, byte for byte.
"""

from __future__ import annotations

import datetime
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load_series import PHANTOM_SLICES, make_raw
from mapnode.app_catalogue import find_app
from mapnode.runners.process import run_app
from mapnode.runners.warm import WarmWorkers
from mapnode.share import APPS_VARIABLE
from mapnode.staging import Stager
from operators.core.contract import Job, Status

ROUNDS = 5
GOAL_S = 0.5
"""Besides the threshold, staged."""
SEGMENTATION = "Threshold"
TIMEOUT_S = 600.0
CLOCK = datetime.datetime(2025, 1, 2, 10, 15, 30)
Row = dict[str, float]


def cpu_s(pid: int) -> float:
    """Processor time of a process, all its threads."""
    fields = Path("/proc", str(pid), "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def objects(folder: Path) -> dict[str, bytes]:
    """The DICOM results in a folder."""
    return {path.name: path.read_bytes() for path in folder.glob("*.dcm")}


def measure(workers: WarmWorkers, source: Path, folder: Path, stage: Path | None, expected: dict[str, bytes]) -> Row:
    """Medians: wall and processor time from the order to the answer, and what each operator took."""
    app, rows = find_app("threshold"), []
    workers.of(app).warm_up()
    for number in range(ROUNDS + 1):
        target = folder / f"{number}"
        target.mkdir(parents=True)
        (pid,) = (row["pid"] for row in workers.describe())
        started, cpu_before = time.perf_counter(), cpu_s(pid)
        job = Job(clock=CLOCK, staged=None if stage is None else str(stage))
        result = workers.of(app).run(source, target, job, timeout_s=TIMEOUT_S)
        wall = time.perf_counter() - started
        assert result.status is Status.DONE, result.sentence
        assert objects(target) == expected, "SEG or SR differ from those of mapnode run"
        between = wall - sum(seconds for name, seconds in result.timings_s.items() if name != "total")
        timings = {name: seconds for name, seconds in result.timings_s.items() if name != "total"}
        rows.append({"from order to answer": wall, "its processor time": cpu_s(pid) - cpu_before} | timings)
        rows[-1]["between operators"] = between
    # The first round fills caches.
    return {name: statistics.median(row[name] for row in rows[1:]) for name in rows[0]}


def main() -> int:
    """Print the split; 1 where the goal does not hold."""
    os.environ[APPS_VARIABLE] = str(Path(__file__).parent / "apps")
    with tempfile.TemporaryDirectory(dir="build") as name:
        folder = Path(name).resolve()
        source = make_raw(folder / "ct", PHANTOM_SLICES)
        run_app(find_app("threshold"), source, folder / "alone", job=Job(clock=CLOCK))
        expected = objects(folder / "alone")
        stager, workers = Stager(folder / "stages"), WarmWorkers()
        try:
            for path in sorted(source.iterdir()):
                stager.add("series", path)
            assert stager.wait("series", TIMEOUT_S), "staging takes too long"
            staged = measure(workers, source, folder / "staged", stager.folder("series"), expected)
            unstaged = measure(workers, source, folder / "unstaged", None, expected)
        finally:
            workers.stop()
            stager.stop()
    print(f"{f'{PHANTOM_SLICES} slices, s':<24}{'staged':>8}{'not':>8}")
    for row in staged:
        print(f"{row:<24}{staged[row]:>8.3f}{unstaged[row]:>8.3f}")
    besides = staged["from order to answer"] - staged[SEGMENTATION]
    print(f"besides the threshold {besides:.2f} s (goal {GOAL_S:.2f} s), threshold {staged[SEGMENTATION]:.3f} s")
    return int(besides > GOAL_S)


if __name__ == "__main__":
    sys.exit(main())
