"""Builders: small CT series, volumes, label maps and results, made of built data only."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from pydicom.valuerep import DSfloat

from mapnode.phantom.series import write_ct_series
from operators.core import codes
from operators.core.frames import Frame
from operators.core.geometry import SeriesGeometry, VolumeGeometry
from operators.core.identity import ResultIdentity, derived_uid
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.measurements import Measurement, SegmentMeasurements, SliceAreas
from operators.core.quality import QualityFinding, QualityReport
from operators.core.reading import Instance, Series, SkippedFile, read_folder
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


def read_only_series(folder: Path) -> Series:
    """The only series of a folder."""
    (series,) = read_folder(folder).series
    return series


def describe_pixels(header: Dataset, stored: np.ndarray, *, bits_stored: int | None = None) -> None:
    """The Image Pixel Module of `(rows, columns)` or `(frames, rows, columns)` stored values (PS3.3 C.7.6.3)."""
    bits = 8 * stored.itemsize
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, header.get("PhotometricInterpretation", "MONOCHROME2")
    header.Rows, header.Columns = stored.shape[-2:]
    header.BitsAllocated, header.BitsStored = bits, bits_stored or bits
    header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(stored.dtype.kind == "i")
    if stored.ndim == 3:
        header.NumberOfFrames = len(stored)


def write_image(
    path: Path,
    header: Dataset,
    stored: np.ndarray,
    *,
    bits_stored: int | None = None,
    syntax=ExplicitVRLittleEndian,
    codestreams: Sequence[bytes] | None = None,
    edit: Callable[[Dataset], object] | None = None,
) -> Path:
    """Write an image: native bytes in the order of the transfer syntax, or codestreams made elsewhere, one a frame."""
    describe_pixels(header, stored, bits_stored=bits_stored)
    order = "<" if UID(syntax).is_little_endian else ">"
    value = stored.astype(stored.dtype.newbyteorder(order)).tobytes()
    value += b"\0" * (len(value) % 2)
    if codestreams is not None:
        value = encapsulate(list(codestreams))
    header.add_new("PixelData", "OB" if codestreams is not None or stored.itemsize == 1 else "OW", value)
    if edit is not None:
        edit(header)
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = header.get("SOPClassUID", "")
    header.file_meta.MediaStorageSOPInstanceUID = header.get("SOPInstanceUID", "")
    header.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def write_slices(
    folder: Path, stored: np.ndarray, *, header: Callable[[int], Dataset] = make_header, **kwargs
) -> list[Path]:
    """Write `(slices, rows, columns)` stored values, one file a slice, as `write_image` does."""
    return [write_image(folder / f"ct_{i:04d}.dcm", header(i), plane, **kwargs) for i, plane in enumerate(stored)]


def strip_preamble(path: Path, *, implicit: bool, little_endian=True, keep_file_meta=False) -> None:
    """Rewrite a file as old devices did: a bare data set, or file meta information without a preamble."""
    dataset = dcmread(path)
    if keep_file_meta:
        path.write_bytes(path.read_bytes()[132:])
        return
    bare = Dataset(dataset)
    path.unlink()
    dcmwrite(path, bare, implicit_vr=implicit, little_endian=little_endian, enforce_file_format=False)


def make_multiframe(
    path: Path,
    stored: np.ndarray,
    affine_lps: np.ndarray | None = None,
    *,
    sop_class=EnhancedMRImageStorage,
    places: Sequence[int] | None = None,
    shared: Sequence[str] = ("PixelMeasuresSequence", "PlaneOrientationSequence"),
    edit_group: Edit | None = None,
    edit: Callable[[Dataset], object] | None = None,
    **kwargs,
) -> Path:
    """Write an enhanced image (PS3.3 A.36, A.38): `places` says which slice of the affine each frame is.

    `edit_group` changes the functional groups of a frame; `shared` names those that stand in the shared item, as they
    are for the first frame.
    """
    affine_lps = make_affine() if affine_lps is None else affine_lps
    places = range(len(stored)) if places is None else places
    groups = [_functional_groups(affine_lps, place) for place in places]
    for index, group in enumerate(groups):
        if edit_group is not None:
            edit_group(group, index)
    header = make_header(0)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "ImageType"):
        del header[keyword]
    del header.RescaleSlope, header.RescaleIntercept
    header.SOPClassUID, header.ImageType = sop_class, ["ORIGINAL", "PRIMARY", "M", "NONE"]
    header.Modality = "CT" if sop_class == EnhancedCTImageStorage else "MR"
    common = Dataset()
    for keyword in shared:
        common[keyword] = groups[0][keyword]
        for group in groups:
            del group[keyword]
    header.SharedFunctionalGroupsSequence = [common]
    header.PerFrameFunctionalGroupsSequence = groups
    return write_image(path, header, stored, edit=edit, **kwargs)


def _functional_groups(affine_lps: np.ndarray, place: int) -> Dataset:
    """What PS3.3 C.7.6.16.2 asks of a frame."""
    _, between_rows, between_columns = np.linalg.norm(affine_lps[:3, :3], axis=0)
    measures, orientation, position, rescale, content = (Dataset() for _ in range(5))
    measures.PixelSpacing = decimals([between_rows, between_columns])
    orientation.ImageOrientationPatient = decimals([
        *affine_lps[:3, 2] / between_columns,
        *affine_lps[:3, 1] / between_rows,
    ])
    position.ImagePositionPatient = decimals((affine_lps @ (place, 0, 0, 1))[:3])
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = "1", "0", "HU"
    content.StackID, content.InStackPositionNumber = "1", place + 1
    group = Dataset()
    group.PixelMeasuresSequence = [measures]
    group.PlaneOrientationSequence = [orientation]
    group.PlanePositionSequence = [position]
    group.PixelValueTransformationSequence = [rescale]
    group.FrameContentSequence = [content]
    return group


def make_csa(values: dict[str, tuple[str, Sequence[str]]]) -> bytes:
    """A CSA header of the second version, as Siemens writes it: name to (VR, values)."""
    parts = [b"SV10\4\3\2\1", struct.pack("<2I", len(values), 77)]
    for name, (vr, items) in values.items():
        # The file has six items at least; those behind the last value are empty.
        count = max(6, len(items))
        parts.append(struct.pack("<64si4s3i", name.encode(), len(items), vr.encode(), 0, count, 77))
        for item in (*items, *[""] * (count - len(items))):
            data = item.encode() + b"\0" * bool(item)
            parts.append(struct.pack("<4i", len(data), len(data), 77, len(data)) + data + b"\0" * (-len(data) % 4))
    return b"".join(parts)


def make_mosaic(
    path: Path,
    stored: np.ndarray,
    affine_lps: np.ndarray | None = None,
    *,
    count_in: Sequence[str] = ("private", "csa"),
    index=0,
    edit: Callable[[Dataset], object] | None = None,
    **kwargs,
) -> Path:
    """Write `(slices, rows, columns)` as a Siemens mosaic; the slices may run along the normal or against it."""
    affine_lps = make_affine() if affine_lps is None else affine_lps
    slices, rows, columns = stored.shape
    grid = int(np.ceil(np.sqrt(slices)))
    tiles = np.zeros((grid * grid, rows, columns), stored.dtype)
    tiles[:slices] = stored
    picture = np.block([[tiles[down * grid + right] for right in range(grid)] for down in range(grid)])
    between_slices, between_rows, between_columns = np.linalg.norm(affine_lps[:3, :3], axis=0)
    # The picture has the middle of the volume in its middle: its corner is half of what it is larger away.
    corner = affine_lps @ (0, -(picture.shape[0] - rows) / 2, -(picture.shape[1] - columns) / 2, 1)
    orientation = [*affine_lps[:3, 2] / between_columns, *affine_lps[:3, 1] / between_rows]
    header = make_header(index, orientation=orientation, pixel_spacing=(between_rows, between_columns))
    header.SOPClassUID, header.Modality = MRImageStorage, "MR"
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    header.ImagePositionPatient = decimals(corner[:3])
    header.SpacingBetweenSlices = decimals([between_slices])[0]
    header.AcquisitionMatrix = [columns, 0, 0, rows]
    normal = affine_lps[:3, 0] / between_slices
    csa = {"SliceNormalVector": ("FD", [f"{v:.8f}" for v in normal])}
    if "csa" in count_in:
        csa["NumberOfImagesInMosaic"] = ("US", [str(slices)])
    if "private" in count_in:
        header.private_block(0x19, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", slices)
    if "csa" in count_in:
        header.private_block(0x29, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", make_csa(csa))
    return write_image(path, header, picture, edit=edit, **kwargs)


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
    frames = tuple(Frame(instance, 1, instance.header) for instance in instances)
    only = VolumeGeometry(series, frames, volume.array.shape, volume.spacing_mm, volume.affine_lps, regular=True)
    return SeriesGeometry(series, (only,), ())


def make_selection(volume: Volume) -> Selection:
    """The volume's series, chosen out of two."""
    geometry = make_geometry(volume)
    chosen = Candidate(geometry.series.uid, "Trunk phantom", "", (), 2.0)
    other = Candidate(derived_uid("other"), "Topogram", "", ("slices: 2, at least 10 needed",), None)
    # As select_series gives it: the chosen one is equal to a candidate, and not the same object.
    return Selection(geometry.volumes[0], replace(chosen), (chosen, other))


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
