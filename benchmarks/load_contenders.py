"""Contenders of the load benchmark: who turns a folder into voxels, and the process that each of them runs in.

Run as `python -m benchmarks.load_contenders NAME FOLDER` it imports, says that it is ready, and for each line on its
standard input loads the folder once and says how long that took. So imports do not count.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.stock_operators import open_stock_operators

if TYPE_CHECKING:
    from collections.abc import Callable

    Load = Callable[[Path], Any]
    """From a folder to voxels: an array, an image of SimpleITK, or a NIfTI file."""
    Run = Callable[[Path], tuple[float, Any]]
    """The same with the seconds that count."""

PIXEL_BYTES = 512 * 512 * 2
CODEC_SAMPLE = 10
"""The bound times the decoder on one slice of this many."""


def timed(load: Load) -> Run:
    """Time all of it."""

    def run(folder: Path) -> tuple[float, Any]:
        started = time.perf_counter()
        voxels = load(folder)
        return time.perf_counter() - started, voxels

    return run


def ours() -> Run:
    """Headers, geometry, pixels and their digests, as the apps load them."""
    from operators.core.pixels import read_volume
    from operators.load.load_series import load_series

    def load(folder: Path) -> object:
        (series,) = load_series(folder).series
        (geometry,) = series.volumes
        return read_volume(geometry).array

    return timed(load)


def sdk() -> Run:
    """The stock operators of the MONAI Deploy App SDK: load, select, convert; without a graph around them."""
    import monai.deploy.core as core

    open_stock_operators()
    from monai.deploy.operators.dicom_data_loader_operator import DICOMDataLoaderOperator
    from monai.deploy.operators.dicom_series_selector_operator import DICOMSeriesSelectorOperator
    from monai.deploy.operators.dicom_series_to_volume_operator import DICOMSeriesToVolumeOperator

    fragment = core.Fragment()
    loader = DICOMDataLoaderOperator(fragment, input_folder=Path("build"), name="loader")
    selector = DICOMSeriesSelectorOperator(fragment, name="selector")
    converter = DICOMSeriesToVolumeOperator(fragment, name="converter")

    def load(folder: Path) -> object:
        studies = loader.load_data_to_studies(folder)
        return converter.convert_to_image(selector.filter(None, studies)).asnumpy()

    return timed(load)


def simpleitk() -> Run:
    """SimpleITK's series reader, which is GDCM."""
    import SimpleITK as sitk  # noqa: N813 - its own custom

    def load(folder: Path) -> object:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
        return reader.Execute()

    return timed(load)


def dcm2niix() -> Run:
    """The program, its start and its uncompressed file included.

    Raises:
        FileNotFoundError: If it is not installed.
    """
    program = shutil.which("dcm2niix", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        raise FileNotFoundError("dcm2niix is missing; it is a package of the extra dev: pip install -e .[dev]")

    def load(folder: Path) -> Path:
        written = folder.with_name(f"{folder.name}.nii")
        command = [program, "-z", "n", "-b", "n", "-w", "1", "-f", folder.name, "-o", str(folder.parent), str(folder)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        return written

    return timed(load)


def bound() -> Run:
    """What no loader can beat: read every byte, copy the pixels once into an array whose memory is there already.

    For JPEG 2000 besides: the bare decoder on all cores, timed on one core and a sample of the slices, and scaled.
    """
    from openjpeg.utils import decode_pixel_data
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    array = np.zeros((1200, PIXEL_BYTES // 2), dtype="<i2")

    def copy(folder: Path) -> None:
        for index, path in enumerate(sorted(folder.iterdir())):
            content = path.read_bytes()
            if len(content) > PIXEL_BYTES:
                array[index] = np.frombuffer(content[-PIXEL_BYTES:], dtype="<i2")

    def run(folder: Path) -> tuple[float, None]:
        seconds, _ = timed(copy)(folder)
        sample = [dcmread(path) for path in sorted(folder.iterdir())[::CODEC_SAMPLE]]
        if not sample[0].file_meta.TransferSyntaxUID.is_encapsulated:
            return seconds, None
        frames = [get_frame(dataset.PixelData, 0, number_of_frames=1) for dataset in sample]
        decoding, _ = timed(lambda _: [decode_pixel_data(frame, version=2) for frame in frames])(folder)
        return seconds + decoding * CODEC_SAMPLE / len(os.sched_getaffinity(0)), None

    return run


CONTENDERS: dict[str, Callable[[], Run]] = {
    "mapnode": ours,
    "SDK": sdk,
    "SimpleITK": simpleitk,
    "dcm2niix": dcm2niix,
    "bound": bound,
}


def voxel_sum(voxels: Any) -> int | None:  # noqa: ANN401 - of four libraries
    """Sum of all voxels in HU; None for the bound, which knows no HU."""
    import SimpleITK as sitk  # noqa: N813 - its own custom

    if voxels is None:
        return None
    if isinstance(voxels, Path):
        voxels = sitk.ReadImage(str(voxels))
    array = voxels if isinstance(voxels, np.ndarray) else sitk.GetArrayViewFromImage(voxels)
    return round(float(array.sum(dtype=np.float64)))


def memory(field: str) -> int:
    """Bytes: VmRSS is what this process holds, VmHWM the most since `forget_peak`."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Begin VmHWM anew: imports have their own peak, and a child's ru_maxrss begins with its parent's."""
    Path("/proc/self/clear_refs").write_text("5")


def main(name: str, folder: Path) -> None:
    """Load the folder once for each line of standard input, and answer each with a line of JSON."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # What libraries print must not get between our lines.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = CONTENDERS[name]()
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        forget_peak()
        before = memory("VmRSS")
        seconds, voxels = run(folder)
        peak = memory("VmHWM") - before
        answer = {"seconds": seconds, "peak_bytes": peak, "sum": voxel_sum(voxels)}
        # dcm2niix leaves 157 MB for the disk: written now, and not while the next contender runs.
        os.sync()
        del voxels
        gc.collect()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
