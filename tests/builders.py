"""Builders: small CT series, volumes, label maps and results, made of built data only."""

from __future__ import annotations

import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from mapnode.phantom.series import write_ct_series
from operators.core import codes
from operators.core.geometry import SeriesGeometry
from operators.core.identity import ResultIdentity, derived_uid
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.measurements import Measurement, SegmentMeasurements, SliceAreas
from operators.core.quality import QualityFinding, QualityReport
from operators.core.reading import Instance, Series, SkippedFile
from operators.core.volume import SourceSlice, Volume
from operators.load.load_series import LoadedFolder
from operators.measure.measure_segments import MEAN_HU, SD_HU, VOLUME
from operators.select.select_series import Candidate, Selection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Edit = Callable[[Dataset, int], None]

AXIAL = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
"""Directions in LPS of the slices, of the rows' order, of the columns' order: head, back, left."""
AXIAL_TURNED = ((0, 0, 1), (0, -1, 0), (-1, 0, 0))
"""Image Orientation -1 0 0 0 -1 0: the same plane, turned by half a circle."""
AXIAL_FEET = ((0, 0, -1), (0, 1, 0), (-1, 0, 0))
"""Image Orientation -1 0 0 0 1 0: the normal runs towards the feet."""
CORONAL = ((0, 1, 0), (0, 0, -1), (1, 0, 0))
SAGITTAL = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
OBLIQUE = ((0, -0.6, 0.8), (0, 0.8, 0.6), (1, 0, 0))

SPACING_MM = (3.0, 0.8, 0.6)
ORIGIN_MM = (-12.5, 7.25, 40.0)

TISSUES = (
    Segment(1, "body", "Body", (1, 2, 3), codes.ANATOMICAL_STRUCTURE, codes.ENTIRE_BODY, (200, 200, 200)),
    Segment(2, "bone", "Bone", (2,), codes.TISSUE, codes.BONE, (250, 10, 20)),
    Segment(3, "fat", "Fat", (3,), codes.TISSUE, codes.FAT, (20, 240, 30), codes.ABDOMINAL_CAVITY),
    Segment(4, "muscle", "Muscle", (4,), codes.TISSUE, codes.SKELETAL_MUSCLE, (40, 50, 230)),
)
"""The body takes in bone and fat; the muscle (label 4) is in no map unless a test puts it there."""
ALGORITHM = Algorithm("test algorithm", "1.2.3", "c0ffee" * 10 + "abcd", codes.MORPHOLOGICAL_OPERATIONS)


def make_affine(directions=AXIAL, spacing_mm=SPACING_MM, origin_mm=ORIGIN_MM) -> np.ndarray:
    """`(4, 4)`: (slice, row, column, 1) to mm in LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.array(directions, dtype=float).T * spacing_mm
    affine[:3, 3] = origin_mm
    return affine


def make_hu(slices=12, rows=6, columns=5) -> np.ndarray:
    """`(slices, rows, columns)` in which each voxel has a value of its own."""
    return np.arange(slices * rows * columns, dtype=np.int16).reshape(slices, rows, columns) - 100


def make_ct_series(
    folder: Path,
    slices=12,
    rows=6,
    columns=5,
    spacing_mm=SPACING_MM,
    *,
    directions=AXIAL,
    origin_mm=ORIGIN_MM,
    hu: np.ndarray | None = None,
    uid_seed="series",
    edit: Edit | None = None,
) -> list[Path]:
    """Write a CT series, one file a slice; `edit` puts a defect into the data set of a slice."""
    array = make_hu(slices, rows, columns) if hu is None else hu
    paths = write_ct_series(array, make_affine(directions, spacing_mm, origin_mm), folder, uid_seed=uid_seed)
    if edit is not None:
        for index, path in enumerate(paths):
            dataset = dcmread(path)
            edit(dataset, index)
            dataset.save_as(path)
    return paths


def make_header(
    index: int,
    *,
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    pixel_spacing: Sequence[float] = SPACING_MM[1:],
    position: Sequence[float] | None = None,
    matrix: tuple[int, int] = (6, 5),
    seed="series",
) -> Dataset:
    """The header of a CT image as the standard's attributes say it, without a file."""
    header = Dataset()
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = derived_uid(f"{seed}/{index}")
    header.StudyInstanceUID = derived_uid("study")
    header.SeriesInstanceUID = derived_uid(seed)
    header.FrameOfReferenceUID = derived_uid("frame")
    header.PatientID = "BUILT"
    header.Modality = "CT"
    header.SeriesDescription = f"Series {seed}"
    header.SeriesNumber = 3
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.ImageOrientationPatient = decimals(orientation)
    header.ImagePositionPatient = decimals((0, 0, index * SPACING_MM[0]) if position is None else position)
    header.PixelSpacing = decimals(pixel_spacing)
    header.Rows, header.Columns = matrix
    header.RescaleSlope, header.RescaleIntercept = 1, 0
    return header


def decimals(values: Sequence[float]) -> list[DSfloat]:
    """Numbers as Decimal Strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def make_series(headers: Sequence[Dataset] | None = None, *, slices=6, edit: Edit | None = None, **kwargs) -> Series:
    """A series in memory, of given headers or of `slices` axial ones."""
    built = list(headers) if headers is not None else [make_header(index, **kwargs) for index in range(slices)]
    for index, header in enumerate(built):
        if edit is not None:
            edit(header, index)
    instances = tuple(Instance(Path(f"ct_{index}.dcm"), header) for index, header in enumerate(built))
    return Series(str(built[0].get("SeriesInstanceUID") or ""), instances)


def make_volume(array: np.ndarray | None = None, affine_lps: np.ndarray | None = None, *, edit: Edit | None = None):
    """A volume whose slices have the headers of a written CT series; its files are gone."""
    array = make_hu() if array is None else array
    affine_lps = make_affine() if affine_lps is None else affine_lps
    with tempfile.TemporaryDirectory() as folder:
        paths = write_ct_series(np.zeros(array.shape, np.int16), affine_lps, Path(folder), uid_seed="volume")
        headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    for index, header in enumerate(headers):
        header.remove_private_tags()
        if edit is not None:
            edit(header, index)
    slices = tuple(
        SourceSlice(Path(p.name), h, f"{i:064x}") for i, (p, h) in enumerate(zip(paths, headers, strict=True))
    )
    return Volume(array.copy(), affine_lps.copy(), str(headers[0].FrameOfReferenceUID), slices)


def make_label_map(volume: Volume, labels: np.ndarray | None = None, *, segments=TISSUES, landmarks=None) -> LabelMap:
    """Labels on the grid of a volume: bone in a block of body, fat behind it, no muscle."""
    if labels is None:
        labels = np.zeros(volume.array.shape, np.uint8)
        labels[2:-2, 1:, 1:] = 1
        labels[3:-3, 2:4, 2:4] = 2
        labels[4:-2, 4:, 1:3] = 3
    return LabelMap(labels.copy(), volume.affine_lps.copy(), segments, ALGORITHM, dict(landmarks or {}))


def make_identity(sha256="ab" * 32, clock=datetime(2025, 1, 2, 10, 15, 30)) -> ResultIdentity:
    """An identity as a run would derive it."""
    return ResultIdentity(sha256, clock, "test_app", "1.2.3")


def make_geometry(volume: Volume) -> SeriesGeometry:
    """The series of a volume's slices, regular."""
    instances = tuple(Instance(source.path, source.header) for source in volume.slices)
    series = Series(str(instances[0].header.SeriesInstanceUID), instances)
    return SeriesGeometry(series, (), instances, volume.affine_lps, volume.array.shape)


def make_selection(volume: Volume) -> Selection:
    """The volume's series, chosen out of two."""
    geometry = make_geometry(volume)
    chosen = Candidate(geometry.series.uid, "Trunk phantom", (), 33.0)
    other = Candidate(derived_uid("other"), "Topogram", ("2 slices, at least 10 are needed",), None)
    return Selection(geometry, (chosen, other))


def make_loaded_folder(volume: Volume) -> LoadedFolder:
    """A folder with the volume's series and one file that was skipped."""
    return LoadedFolder((make_geometry(volume),), (SkippedFile("notes.txt", "no DICOM file"),))


def make_measurements(label_map: LabelMap) -> tuple[SegmentMeasurements, ...]:
    """Numbers that nobody could mix up: each segment and each quantity has its own."""
    measured = []
    for segment in label_map.segments:
        voxels = int(np.isin(label_map.array, segment.labels).sum())
        values = [Measurement(VOLUME, segment.number + 0.25 if voxels else 0.0)]
        if voxels:
            values += [Measurement(MEAN_HU, -100.5 * segment.number), Measurement(SD_HU, 7.125 * segment.number)]
        measured.append(SegmentMeasurements(segment.name, voxels, tuple(values)))
    return tuple(measured)


def make_slice_areas(volume: Volume, label_map: LabelMap) -> tuple[SliceAreas, ...]:
    """One row a slice; the area counts slices and segments."""
    return tuple(
        SliceAreas(
            index,
            str(source.header.SOPInstanceUID),
            3.0 * index,
            {segment.name: index + segment.number / 10 for segment in label_map.segments},
        )
        for index, source in enumerate(volume.slices)
    )


def make_quality() -> QualityReport:
    """A report with one finding."""
    return QualityReport((QualityFinding("in_the_thorax", "The scan reaches into the thorax."),))
