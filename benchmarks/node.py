"""Node benchmark: does the node slow intake, and how long after the last image are the results there.

Intake: 300 CT slices of 512 x 512 by storescu, alternating between bare Orthanc and Orthanc with plugin and node, both
with TCP_NODELAY=1 on both sides. Turnaround: a phantom of 112 slices, worker warm, split by stage.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from pydicom import dcmread

from mapnode.demo import storescu_command
from mapnode.pacs.orthanc_configuration import Modality, OrthancSettings
from mapnode.pacs.orthanc_process import OrthancProcess, free_port
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from tests.node_under_test import RULES, NodeUnderTest

ROUNDS = 5
INTAKE_SLICES = 300
TURNAROUND_SLICES = 112
SETTLE_S = 2.0
GOAL_INTAKE_RATIO = 0.9


def send(files: list[Path], port: int) -> float:
    """Seconds that storescu takes, its own start included."""
    started = time.perf_counter()
    for command in storescu_command(files, calling="SCANNER", called="MAPNODE", port=port):
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TCP_NODELAY": "1"})  # noqa: S603
    return time.perf_counter() - started


def make_series(folder: Path, seed: str, *, slices: int, spacing_mm: tuple[float, float, float]) -> list[Path]:
    """A phantom of that many slices."""
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=slices, spacing_mm=spacing_mm))
    return write_ct_series(phantom.hu, phantom.affine_lps, folder, description=seed, uid_seed=seed, patient_id=seed)


def measure_intake(folder: Path) -> float:
    """Bare Orthanc's median over the node's: 1 means that the node costs nothing."""
    modalities = (Modality("SCANNER", "127.0.0.1"),)
    settings = OrthancSettings(folder / "bare", dicom_port=free_port(), http_port=free_port(), modalities=modalities)
    node = NodeUnderTest(folder / "node")
    nothing = {"rules": [{**RULES["rules"][0], "when": [{"attribute": "Modality", "equals": "MR"}]}]}
    (node.folder / "rules.yaml").write_text(yaml.safe_dump(nothing))
    times: dict[str, list[float]] = {"bare": [], "node": []}
    with OrthancProcess(settings):
        node.start()
        for number in range(ROUNDS + 1):
            files = make_series(
                folder / f"intake{number}", f"i{number}", slices=INTAKE_SLICES, spacing_mm=(1.0, 0.75, 0.75)
            )
            for name, port in (("bare", settings.dicom_port), ("node", node.dicom_port)):
                times[name].append(send(files, port))
            for path in files:
                path.unlink()
        node.stop()
    # The first round warms caches.
    bare, attached = (statistics.median(times[name][1:]) for name in ("bare", "node"))
    print(
        f"intake of {INTAKE_SLICES} slices  bare {bare:.2f} s  with node {attached:.2f} s  ratio {bare / attached:.2f}"
    )
    return bare / attached


def measure_turnaround(folder: Path) -> None:
    """From the last C-STORE response to SEG and SR in Orthanc, with the stages of the job."""
    node = NodeUnderTest(folder / "turnaround", settle_s=SETTLE_S, publish_quiet_s=SETTLE_S)
    node.start()
    totals, stages = [], []
    with node.client() as client:
        for number in range(ROUNDS + 1):
            files = make_series(
                folder / f"t{number}", f"t{number}", slices=TURNAROUND_SLICES, spacing_mm=(2.5, 3.0, 3.0)
            )
            send(files, node.dicom_port)
            sent = time.time()
            job = node.ended_job(dcmread(files[0]).SeriesInstanceUID)
            assert job["state"] == "done", job["reason"]
            assert len([client.instance(stored["orthanc_id"]) for stored in job["stored"]]) == 2
            stages.append({step["name"]: step["seconds"] for step in job["steps"]})
            last = job["steps"][-1]
            totals.append(last["started_at"] + last["seconds"] - sent)
    node.stop()
    split = {name: statistics.median(s[name] for s in stages[1:]) for name in stages[0]}
    total = statistics.median(totals[1:])
    rest = total - SETTLE_S - sum(split.values())
    print(
        f"turnaround of {TURNAROUND_SLICES} slices  {total:.2f} s = settle {SETTLE_S:.2f} + "
        + " + ".join(f"{name} {seconds:.2f}" for name, seconds in split.items())
        + f" + between {rest:.2f}"
    )


def main() -> int:
    """Run both; 1 where intake with the node is below its goal."""
    with tempfile.TemporaryDirectory(dir="build") as folder:
        ratio = measure_intake(Path(folder).resolve())
        measure_turnaround(Path(folder).resolve())
    return int(ratio < GOAL_INTAKE_RATIO)


if __name__ == "__main__":
    sys.exit(main())
