"""Container benchmark: images of an app, with and without a network: size, rebuild, cold start beside the warm worker.

    python -m benchmarks.container BASE_IMAGE

A digital phantom of 20 slices; Docker has to answer. The container runs locked down, from `docker run` to its end. Its
SEG and SR must be those of the warm worker, byte for byte, and an image that is made anew from nothing but the wheels
has to have the same ID.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmarks.hot_path import objects
from mapnode.app_catalogue import App, find_app
from mapnode.package.build import cache_folder
from mapnode.package.plan import WHEELS
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.runners.warm import WarmWorkers
from mapnode.share import APPS_VARIABLE, import_root, shared_folder
from operators.core.contract import JOB_VARIABLE, Job
from operators.core.model_folder import find_model
from tests.networks.phantoms import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

APP = "ct_body_composition"
TAG = "mapnode-benchmark:1"
CHANGED = "changed_app"
ROUNDS = 5
TRAINING_STEPS = 60
TABLE = Path("build/bench/container.md")
JOB = Job(identity="5a" * 32, clock=datetime.datetime(2025, 1, 2, 10, 15, 30))
LOCKED_DOWN = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
TIMEOUT_S = 600.0
COLUMNS = {
    "size_mb": "size, MB",
    "rebuild_s": "app changed, s",
    "cold_start_s": "cold start, s",
    "warm_s": "warm worker, s",
    "same_id": "same ID again",
}
Row = dict[str, float]


@dataclass(frozen=True)
class Case:
    """An image to measure.

    Attributes:
        name: What the table calls it.
        goals: The most that a column may be.
        model: Folder with the app's network, or None.
    """

    name: str
    goals: Row
    model: Path | None = None

    @property
    def options(self) -> list[str]:
        """What `mapnode package` is told of the model."""
        return [] if self.model is None else ["--model", str(self.model)]

    @property
    def app(self) -> App:
        """The app as a worker runs it."""
        app = find_app(APP)
        return app if self.model is None else App(app.folder, app.manifest, find_model(self.model))


def median_s(step: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Median wall time of a step that was done once before."""
    step()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def package(app: str, tag: str, base_image: str, options: list[str], **environment: str) -> dict[str, Any]:
    """Run `mapnode package`: what it says."""
    command = [sys.executable, "-m", "mapnode", "package", app, "--tag", tag, "--base-image", base_image, "--json"]
    done = subprocess.run(  # noqa: S603
        [*command, *options], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rebuild_s(case: Case, folder: Path, base_image: str) -> float:
    """Median time to rebuild an image after a line was added to its app.py."""
    changed = folder / CHANGED
    shutil.copytree(shared_folder("apps") / APP, changed, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = changed / "app.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(f"title: {APP}", f"title: {CHANGED}"), "utf-8")

    def change_and_package() -> None:
        with (changed / "app.py").open("a", encoding="utf-8") as file:
            file.write("# one more line\n")
        package(CHANGED, f"{TAG}-changed", base_image, case.options, **{APPS_VARIABLE: str(folder)})

    return median_s(change_and_package)


def image_id_again(case: Case, folder: Path, base_image: str) -> str:
    """The ID of the same image, made from nothing but the wheels."""
    options = [*case.options, "--wheelhouse", str(cache_folder() / WHEELS), "--output", str(folder / "again.tar")]
    return str(package(APP, TAG, base_image, options, XDG_CACHE_HOME=str(folder))["image_id"])


def run_container(study: Path, output: Path) -> None:
    """One run, from nothing to its end."""
    mounts = ("-v", f"{study}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output")
    environment = {**os.environ, JOB_VARIABLE: JOB.model_dump_json()}
    command = ["docker", "run", "--rm", *LOCKED_DOWN, "--user", str(os.getuid()), *mounts, "-e", JOB_VARIABLE, TAG]
    subprocess.run(command, env=environment, capture_output=True, check=True)  # noqa: S603


def warm_s(app: App, study: Path, folder: Path, expected: dict[str, bytes]) -> float:
    """Median time of the same run in a warm worker, whose results have to be the same."""
    workers = WarmWorkers()

    def run() -> None:
        target = Path(tempfile.mkdtemp(dir=folder))
        workers.of(app).run(study, target, JOB, timeout_s=TIMEOUT_S)
        assert objects(target) == expected, "SEG or SR of the container differ from those of the warm worker"

    try:
        return median_s(run)
    finally:
        workers.stop()


def measure(case: Case, study: Path, folder: Path, base_image: str) -> Row:
    """One row of the table; prints the image's layers."""
    cold, again = folder / "cold", folder / "again"
    for path in (cold, again):
        path.mkdir(parents=True)
    image = package(APP, TAG, base_image, case.options)
    for layer in image["layers"]:
        print(f"{layer['bytes'] / 1e6:10.1f} MB  {layer['content']}")
    row = {
        "size_mb": image["bytes"] / 1e6,
        "rebuild_s": rebuild_s(case, folder / "apps", base_image),
        "cold_start_s": median_s(lambda: run_container(study, cold)),
    }
    row["warm_s"] = warm_s(case.app, study, folder, objects(cold))
    row["same_id"] = float(image_id_again(case, again, base_image) == image["image_id"])
    remove = ["docker", "rmi", "--force", TAG, f"{TAG}-changed"]
    subprocess.run(remove, capture_output=True, check=False)  # noqa: S603
    return row


def cell(row: Row, key: str, goals: Row) -> str:
    """A value, with its goal where there is one."""
    if key == "same_id":
        return "yes" if row[key] else "NO"
    return f"{row[key]:.2f}" + (f" (goal {goals[key]:g})" if key in goals else "")


def table(rows: list[tuple[Case, Row]]) -> str:
    """All rows as Markdown."""
    lines = [f"| {APP} | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [f"| {case.name} | {' | '.join(cell(row, key, case.goals) for key in COLUMNS)} |" for case, row in rows]
    return "\n".join(lines) + "\n"


def trained_model(folder: Path) -> Path:
    """A small TorchScript network, with the catalogue's names."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.networks.monai_models", "torchscript", str(folder)]
    subprocess.run([*command, "--steps", str(TRAINING_STEPS)], cwd=import_root(), check=True, capture_output=True)  # noqa: S603
    path = folder / "model.yaml"
    description = yaml.safe_load(path.read_text(encoding="utf-8"))
    labels = {NAMES.get(name, name.lower().replace(" ", "_")): value for name, value in description["labels"].items()}
    path.write_text(yaml.safe_dump({**description, "labels": labels}), encoding="utf-8")
    return folder


def main(base_image: str) -> int:
    """Print the measurements; 1 where a goal does not hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phantom = build_trunk_phantom(TrunkPhantomParameters(slices=20, spacing_mm=(5.0, 3.0, 2.0)))
        write_ct_series(phantom.hu, phantom.affine_lps, folder / "study", uid_seed="container benchmark")
        cases = (
            Case("classical", {"size_mb": 400, "rebuild_s": 1, "cold_start_s": 3}),
            Case(
                "with a network",
                {"size_mb": 1100, "rebuild_s": 1, "cold_start_s": 6},
                trained_model(folder / "tissues"),
            ),
        )
        rows = [(case, measure(case, folder / "study", folder / str(n), base_image)) for n, case in enumerate(cases)]
    text = table(rows)
    print(text, end="")
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_text(text, encoding="utf-8")
    return int(any(not row["same_id"] or any(row[k] > goal for k, goal in case.goals.items()) for case, row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
