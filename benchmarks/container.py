"""Container benchmark: an app's image: its size, a rebuild after a change, and its cold start beside the warm worker.

    python -m benchmarks.container BASE_IMAGE

A digital phantom of 20 slices; Docker has to answer. The container runs locked down, from `docker run` to its end. Its
SEG and SR must be those of the warm worker, byte for byte.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.hot_path import objects
from mapnode.app_catalogue import find_app
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.runners.warm import WarmWorkers
from mapnode.share import APPS_VARIABLE, shared_folder
from operators.core.contract import JOB_VARIABLE, Job

if TYPE_CHECKING:
    from collections.abc import Callable

APP = "ct_body_composition"
TAG = f"mapnode-benchmark-{APP.replace('_', '-')}:1"
CHANGED = "changed_app"
ROUNDS = 5
GOALS = {"size_mb": 400.0, "rebuild_s": 1.0, "cold_start_s": 3.0}
JOB = Job(identity="5a" * 32, clock=datetime.datetime(2025, 1, 2, 10, 15, 30))
LOCKED_DOWN = ("--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
TIMEOUT_S = 600.0


def median_s(step: Callable[[], Any], rounds: int = ROUNDS) -> float:
    """Median wall time of a step that was done once before."""
    step()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def package(app: str, tag: str, base_image: str, apps: Path | None = None) -> dict[str, Any]:
    """Run `mapnode package` into Docker: what it says."""
    command = [sys.executable, "-m", "mapnode", "package", app, "--tag", tag, "--base-image", base_image, "--json"]
    environment = os.environ if apps is None else {**os.environ, APPS_VARIABLE: str(apps)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rebuild_s(folder: Path, base_image: str) -> float:
    """Median time to rebuild an image after a line was added to its app.py."""
    changed = folder / CHANGED
    shutil.copytree(shared_folder("apps") / APP, changed, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = changed / "app.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(f"title: {APP}", f"title: {CHANGED}"), "utf-8")

    def change_and_package() -> None:
        with (changed / "app.py").open("a", encoding="utf-8") as file:
            file.write("# one more line\n")
        package(CHANGED, f"{TAG}-changed", base_image, folder)

    return median_s(change_and_package)


def run_container(study: Path, output: Path) -> None:
    """One run, from nothing to its end."""
    mounts = ("-v", f"{study}:/var/holoscan/input:ro", "-v", f"{output}:/var/holoscan/output")
    environment = {**os.environ, JOB_VARIABLE: JOB.model_dump_json()}
    command = ["docker", "run", "--rm", *LOCKED_DOWN, "--user", str(os.getuid()), *mounts, "-e", JOB_VARIABLE, TAG]
    subprocess.run(command, env=environment, capture_output=True, check=True)  # noqa: S603


def warm_s(study: Path, folder: Path, expected: dict[str, bytes]) -> float:
    """Median time of the same run in a warm worker, whose results have to be the same."""
    workers, app = WarmWorkers(), find_app(APP)

    def run() -> None:
        target = Path(tempfile.mkdtemp(dir=folder))
        workers.of(app).run(study, target, JOB, timeout_s=TIMEOUT_S)
        assert objects(target) == expected, "SEG or SR of the container differ from those of the warm worker"

    try:
        return median_s(run)
    finally:
        workers.stop()


def main(base_image: str) -> int:
    """Print the measurements; 1 where a goal does not hold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study, cold = folder / "study", folder / "cold"
        phantom = build_trunk_phantom(TrunkPhantomParameters(slices=20, spacing_mm=(5.0, 3.0, 2.0)))
        write_ct_series(phantom.hu, phantom.affine_lps, study, uid_seed="container benchmark")
        cold.mkdir()
        image = package(APP, TAG, base_image)
        row = {
            "size_mb": image["bytes"] / 1e6,
            "rebuild_s": rebuild_s(folder / "apps", base_image),
            "cold_start_s": median_s(lambda: run_container(study, cold)),
        }
        row["warm_s"] = warm_s(study, folder, objects(cold))
    remove = ["docker", "rmi", "--force", TAG, f"{TAG}-changed"]
    subprocess.run(remove, capture_output=True, check=False)  # noqa: S603
    for layer in image["layers"]:
        print(f"{layer['bytes'] / 1e6:10.1f} MB  {layer['content']}")
    for key, value in row.items():
        print(f"{key:<14}{value:>8.2f}" + (f"  (goal {GOALS[key]:g})" if key in GOALS else ""))
    return int(any(row[key] > goal for key, goal in GOALS.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
