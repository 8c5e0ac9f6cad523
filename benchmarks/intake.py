"""Intake: C-STORE of native CT to bare Orthanc, to one with the node attached, and to one as Debian starts it."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.sender import NODELAY, SCANNER, send
from mapnode.pacs.orthanc_configuration import Modality, OrthancSettings
from mapnode.pacs.orthanc_process import OrthancProcess, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.turnaround_runs import Courier, Ours
    from mapnode.pacs.orthanc_client import OrthancClient


def settings_of(folder: Path) -> OrthancSettings:
    """The node's own settings of Orthanc, without its plugin."""
    return OrthancSettings(
        folder, dicom_port=free_port(), http_port=free_port(), modalities=(Modality(SCANNER, "127.0.0.1"),)
    )


@contextmanager
def without_nodelay(folder: Path) -> Iterator[OrthancSettings]:
    """An Orthanc whose environment says nothing of Nagle's algorithm, as Debian's service has it."""
    settings = settings_of(folder)
    with OrthancProcess(settings):  # writes the configuration
        pass
    environment = {name: value for name, value in os.environ.items() if name not in NODELAY}
    command = ["Orthanc", str(settings.configuration_path)]
    with (folder / "debian.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603
    try:
        yield settings
    finally:
        process.terminate()
        process.wait()


def measure_intake(
    folder: Path, template: Sequence[Path], ours: Ours, client: OrthancClient, courier: Courier, rounds: int
) -> dict[str, float]:
    """Seconds that the slices take on each way in, by turns; medians, the first round not among them."""
    times: dict[str, list[float]] = {"bare": [], "node": [], "Debian": []}
    bare = settings_of(folder / "bare")
    with OrthancProcess(bare), without_nodelay(folder / "debian") as debian:
        ports = {"bare": bare.dicom_port, "node": ours.node.dicom_port, "Debian": debian.dicom_port}
        for _ in range(rounds + 1):
            for name, port in ports.items():
                series = courier.make(template)
                begun = time.time()
                last = send(series.files, port)
                times[name].append(last - begun)
                series.remove()
                if name == "node":
                    ours.run(client, series, last)
    return {name: median(seconds[1:]) for name, seconds in times.items()}
