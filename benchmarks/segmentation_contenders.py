"""Contenders of the SEG benchmark: who writes a label map as a file, and the process that each of them runs in.

Run as `python -m benchmarks.segmentation_contenders NAME CASE FILE` it makes map and headers, says that it is ready,
and for each line on its standard input writes the file once and says how long that took. So imports do not count.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import logging
import os
import sys
import warnings
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.load_contenders import forget_peak, memory
from operators.core.label_map import LabelMap, Segment
from operators.core.volume import Volume
from operators.write.write_segmentation import SegmentationType
from tests.builders import ALGORITHM, TISSUES, make_identity, make_volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Write = Callable[[Path], None]

MATRIX = 512
DEPTHS = (
    0.20, 0.22, 0.22, 0.08, 0.33, 0.27, 0.17, 0.07, 0.07, 0.30,
    0.30, 0.20, 0.30, 0.30, 0.50, 0.20, 0.08, 0.40, 0.20, 0.65,
)  # fmt: skip
"""Part of a trunk's slices that each of twenty organs reaches: spleen, kidneys, gallbladder, liver, stomach, pancreas,
adrenals, lobes of the lung, oesophagus, trachea, thyroid, small bowel, duodenum, colon. On average a quarter: 104
segments of 300 slices have some 8,000 frames."""


@dataclasses.dataclass(frozen=True)
class Case:
    """What is written.

    Attributes:
        segmentation_type: Its form.
        segments: How many; as labels, which exclude each other.
        slices: Slices of 512 x 512.
        overlapping: Whether the first segment takes in all others.
    """

    segmentation_type: SegmentationType
    segments: int
    slices: int = 300
    overlapping: bool = False

    @property
    def name(self) -> str:
        """For a table."""
        overlap = ", the first takes in all" if self.overlapping else ""
        return f"{self.segmentation_type.upper()}, {self.segments} segments{overlap}, {self.slices} slices"

    @property
    def map_bytes(self) -> int:
        """Size of its label map."""
        return self.slices * MATRIX * MATRIX

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Case:
        """From a command line."""
        values = json.loads(text)
        return cls(**{**values, "segmentation_type": SegmentationType(values["segmentation_type"])})


def make_labels(case: Case) -> NDArray[np.uint8]:
    """Ellipsoids `(slices, 512, 512)`, places and sizes drawn from a fixed seed; later ones cut into earlier ones."""
    random = np.random.default_rng(7)
    labels = np.zeros((case.slices, MATRIX, MATRIX), np.uint8)
    for number in range(1, case.segments + 1):
        depth = DEPTHS[(number - 1) % len(DEPTHS)] * case.slices
        radii = np.array([depth / 2, *random.uniform(0.02, 0.12, 2) * MATRIX])
        centre = random.uniform(radii, np.array(labels.shape) - radii)
        begin = np.maximum(np.floor(centre - radii), 0).astype(int)
        end = np.minimum(np.ceil(centre + radii).astype(int) + 1, labels.shape)
        box = tuple(slice(a, b) for a, b in zip(begin, end, strict=True))
        grid = np.ogrid[box]
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radii, strict=True)) <= 1
        labels[box][np.broadcast_to(inside, labels[box].shape)] = number
    return labels


def make_map(case: Case, volume: Volume) -> LabelMap:
    """The label map of a case."""
    first = tuple(range(1, case.segments + 1)) if case.overlapping else (1,)
    labels = [first, *((number,) for number in range(2, case.segments + 1))]
    segments = tuple(
        dataclasses.replace(TISSUES[1], number=number, name=f"s{number}", label=f"Segment {number}", labels=own)
        for number, own in enumerate(labels, start=1)
    )
    return LabelMap(make_labels(case), volume.affine_lps.copy(), segments, ALGORITHM)


def make_source(case: Case) -> Volume:
    """Headers of a CT series; nobody looks at its voxels, of which there is one."""

    def enlarge(header: Any, _: int) -> None:  # noqa: ANN401 - a data set
        header.Rows = header.Columns = MATRIX

    small = make_volume(np.zeros((case.slices, 1, 1), np.int16), edit=enlarge)
    array = np.broadcast_to(np.int16(0), (case.slices, MATRIX, MATRIX))
    return Volume(array, small.affine_lps, small.frame_of_reference_uid, small.slices)


def ours(case: Case, volume: Volume, label_map: LabelMap) -> Write:
    """WriteSegmentation."""
    from operators.runtime.sdk import Application
    from operators.write.write_segmentation import WriteParameters, WriteSegmentation

    def write(path: Path) -> None:
        step = WriteSegmentation(Application(), WriteParameters(path.parent, case.segmentation_type))
        step.process(volume, label_map, make_identity()).path.rename(path)

    return write


def highdicom(case: Case, volume: Volume, label_map: LabelMap) -> Write:
    """Stock highdicom: given the label map, or, where segments overlap, their stack, which is made before."""
    from operators.write.marking import save
    from tests.stock_segmentation import stock_pixels, stock_segmentation

    prepared = stock_pixels(label_map)

    def write(path: Path) -> None:
        save(stock_segmentation(volume, label_map, make_identity(), case.segmentation_type, prepared=prepared), path)

    return write


def sdk(_case: Case, volume: Volume, label_map: LabelMap) -> Write:
    """The stock operator of the MONAI Deploy App SDK, without a graph; it reads back what it wrote, as it does."""
    import monai.deploy.core as core
    from monai.deploy.core.domain.dicom_series import DICOMSeries

    # The package's own __init__ imports every operator, and with them the whole of monai and torch, which this one
    # does without and which a development environment need not have.
    package = ModuleType("monai.deploy.operators")
    package.__path__ = [str(Path(core.__file__).parents[1] / "operators")]
    sys.modules[package.__name__] = package
    from monai.deploy.operators.dicom_seg_writer_operator import DICOMSegmentationWriterOperator, SegmentDescription

    def describe(segment: Segment) -> SegmentDescription:
        return SegmentDescription(
            segment_label=segment.label,
            segmented_property_category=segment.category,
            segmented_property_type=segment.type,
            algorithm_name=ALGORITHM.name,
            algorithm_version=ALGORITHM.version,
        )

    series = DICOMSeries(volume.slices[0].header.SeriesInstanceUID)
    for source in volume.slices:
        series.add_sop_instance(source.header)
    descriptions = [describe(segment) for segment in label_map.segments]

    def write(path: Path) -> None:
        folder = path.with_suffix("")
        operator = DICOMSegmentationWriterOperator(
            core.Fragment(), segment_descriptions=descriptions, output_folder=folder, name="writer"
        )
        operator.create_dicom_seg(label_map.array, series, folder)
        next(folder.iterdir()).rename(path)

    return write


def bound(_case: Case, _volume: Volume, label_map: LabelMap) -> Write:
    """What is left of a BINARY SEG when all else is free: each frame compared, packed and written, none looked for."""
    array = label_map.array
    frames = [
        (index, segment.labels[0])
        for segment in label_map.segments
        for index, plane in enumerate(array)
        if (plane == segment.labels[0]).any()
    ]

    def write(path: Path) -> None:
        with path.open("wb") as file:
            for index, label in frames:
                file.write(np.packbits(array[index] == label, bitorder="little").tobytes())

    return write


CONTENDERS = {"mapnode": ours, "highdicom": highdicom, "SDK": sdk, "bound": bound}


def frames_of(path: Path) -> int | None:
    """Number of Frames (0028,0008) of a SEG; None for the bound's file, which is none."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        return int(dcmread(path, specific_tags=["NumberOfFrames"], stop_before_pixels=True).NumberOfFrames)
    except InvalidDicomError:
        return None


def main(name: str, case: Case, path: Path) -> None:
    """Write the file once for each line of standard input, and answer each with a line of JSON."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # What libraries print must not get between our lines.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    volume = make_source(case)
    write = CONTENDERS[name](case, volume, make_map(case, volume))
    print("ready", file=answers, flush=True)
    for _ in sys.stdin:
        gc.collect()
        forget_peak()
        before = memory("VmRSS")
        started = perf_counter()
        write(path)
        seconds = perf_counter() - started
        peak = memory("VmHWM") - before
        answer = {"seconds": seconds, "peak": peak, "bytes": path.stat().st_size, "frames": frames_of(path)}
        # Each file is new: to cut off an old one takes time.
        path.unlink()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Case.from_json(sys.argv[2]), Path(sys.argv[3]))
