"""Tissue benchmark: a study from files to numbers, each app beside the same work with SimpleITK and scikit-image.

Trunk and legs are phantoms with noise of 48 slices, so that five rounds take minutes; the SEG has twelve ellipsoids and
comes from highdicom. Sides take turns, each run in a process of its own: `mapnode run` with all that it does, and
benchmarks/tissue_contenders.py, which does less.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mapnode.phantom.degrade import add_noise
from mapnode.phantom.legs import build_leg_phantom, leg_truth, random_leg_parameters
from mapnode.phantom.lesions import add_lesions, lesion_mask, random_lesion
from mapnode.phantom.series import write_ct_series
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom
from tests.segmented import make_seg

ROUNDS = 5
NOISE_HU = 10.0
LESIONS = 12
SLICES = 48
TRUNK = TrunkPhantomParameters(slices=SLICES, spacing_mm=(2.5, 0.78, 0.78), field_mm=(400.0, 400.0), noise_hu=NOISE_HU)
OURS, CONTENDER = "mapnode", "SimpleITK and scikit-image"
RESULTS = Path("build/bench")
STEPS = ("Segment", "LoadSegmentation")
"""Operators whose time is that of a contender's step `segment`."""
Truth = dict[str, float]


def make_trunk(folder: Path) -> Truth:
    """Slices of 512 x 512, 2.5 mm apart; the truth is the volume in mL by segment."""
    phantom = build_trunk_phantom(TRUNK)
    write_ct_series(phantom.hu, phantom.affine_lps, folder / "ct", uid_seed="tissue benchmark, trunk")
    return {name: volume for name, volume in phantom.truth_volume_ml.items() if name != "body"}


def make_legs(folder: Path) -> Truth:
    """Legs in slices of 4 mm, pixels of 1.1 mm, apart: the contender cannot part thighs that touch."""
    parameters = replace(random_leg_parameters(np.random.default_rng(60), 4.0, 1.1), gap_mm=20.0, slices=SLICES)
    phantom = build_leg_phantom(parameters)
    write_ct_series(
        add_noise(phantom.hu, NOISE_HU, 1),
        phantom.affine_lps,
        folder / "ct",
        uid_seed="tissue benchmark, legs",
        attributes={"BodyPartExamined": "LEG"},
    )
    return dict(leg_truth(parameters).volume_ml)


def make_segmentation(folder: Path) -> Truth:
    """The same grid as the trunk's with ellipsoids, and a SEG of them."""
    phantom = build_trunk_phantom(TRUNK)
    rng = np.random.default_rng(12)
    lesions = [
        random_lesion(rng, (x, y, z), value=90.0)
        for x, y, z in rng.uniform((-80, -40, -40), (80, 20, 40), (LESIONS, 3)).tolist()
    ]
    hu = add_lesions(phantom.hu, phantom.affine_lps, lesions)
    images = write_ct_series(hu, phantom.affine_lps, folder / "ct", uid_seed="tissue benchmark, SEG")
    masks = {
        f"Lesion {number}": lesion_mask(hu.shape, phantom.affine_lps, lesion)
        for number, lesion in enumerate(lesions, start=1)
    }
    make_seg(folder / "seg.dcm", images, masks, tracked=False)
    return {f"lesion_{number}": lesion.volume_ml for number, lesion in enumerate(lesions, start=1)}


STUDIES: dict[str, Callable[[Path], Truth]] = {
    "ct_body_composition": make_trunk,
    "ct_leg_tissue": make_legs,
    "measure_segmentation": make_segmentation,
}


@dataclass
class Runs:
    """All runs of one side on one study.

    Attributes:
        app: The app, or whose work it is.
        side: Who did it.
        seconds: Of each process, its start and its imports included.
        cpu: Of all its cores together, in user and system mode: what others compute beside it changes that little.
        working: Of its segmenting and measuring alone.
        peak_mb: Most memory of each process.
        errors: Error of the volume of each segment in the last run, as a share of the truth.
    """

    app: str
    side: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    working: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def run_ours(app: str, folder: Path, target: Path, truth: Truth, runs: Runs) -> None:
    """Run the app in a process of its own."""
    command = [sys.executable, "-m", "mapnode", "run", app, str(folder), str(target), "--json"]
    document = _run(command, lambda done: json.loads(done.stdout), runs)
    volumes = {m["segment"]: m["value"] for m in document["measurements"] if m["name"] == "volume_ml"}
    timings = document["timings_s"]
    runs.working.append(sum(each for name, each in timings.items() if name in STEPS or name.startswith("Measure")))
    runs.peak_mb.append(document["peak_memory_mb"])
    runs.errors = _errors({name.removeprefix("leg_"): value for name, value in volumes.items()}, truth)


def run_contender(app: str, folder: Path, target: Path, truth: Truth, runs: Runs) -> None:
    """Run the contender's script in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.tissue_contenders", app, str(folder), str(target)]
    document = _run(command, lambda _: json.loads(target.read_text(encoding="utf-8")), runs)
    volumes = {name.lower().replace(" ", "_"): each["volume_ml"] for name, each in document["segments"].items()}
    runs.working.append(document["seconds"]["segment"] + document["seconds"]["measure"])
    runs.peak_mb.append(document["peak_mb"])
    runs.errors = _errors(volumes, truth)


def _run(command: list[str], answer: Callable[[subprocess.CompletedProcess[str]], Any], runs: Runs) -> Any:  # noqa: ANN401 - JSON
    """Run a process, note what it took, and give its answer.

    Raises:
        RuntimeError: If it ended with an error.
    """
    started, spent = time.perf_counter(), _cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    runs.seconds.append(time.perf_counter() - started)
    runs.cpu.append(_cpu_s() - spent)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return answer(done)


def _cpu_s() -> float:
    """Of all children that have ended, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _errors(volumes: Truth, truth: Truth) -> list[float]:
    """What was not found is wrong by all of it."""
    return [volumes.get(name, 0.0) / true - 1 for name, true in truth.items()]


def measure(app: str, folder: Path) -> tuple[Runs, Runs]:
    """Make the study, then let both sides take turns."""
    # In a process of its own: a child's peak of memory begins with what its parent holds.
    with ProcessPoolExecutor(1) as pool:
        truth = pool.submit(STUDIES[app], folder).result()
    ours, other = Runs(app, OURS), Runs(app, CONTENDER)
    for number in range(ROUNDS):
        run_ours(app, folder, folder.with_name(f"{folder.name}-{number}"), truth, ours)
        run_contender(app, folder, folder.with_name(f"{folder.name}-{number}.json"), truth, other)
    return ours, other


def table(rows: list[Runs]) -> str:
    """Medians as Markdown."""
    lines = [
        "| study | side | process s | fastest to slowest s | CPU s | of it segmenting, measuring s | peak MB "
        "| volumes off by, mean | worst |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for runs in rows:
        median, cpu, working, peak = map(statistics.median, (runs.seconds, runs.cpu, runs.working, runs.peak_mb))
        shares = [abs(error) for error in runs.errors]
        lines.append(
            f"| {runs.app} | {runs.side} | {median:.1f} | {min(runs.seconds):.1f} to {max(runs.seconds):.1f} "
            f"| {cpu:.1f} | {working:.1f} | {peak:.0f} | {statistics.mean(shares):.1%} | {max(shares):.1%} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, print and write the table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    rows: list[Runs] = []
    with tempfile.TemporaryDirectory(dir="build") as folder:
        for app in STUDIES:
            rows += measure(app, Path(folder).resolve() / app)
    text = f"{table(rows)}\n\nOn {len(os.sched_getaffinity(0))} cores."
    print(text)
    (RESULTS / "tissue.md").write_text(f"{text}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
