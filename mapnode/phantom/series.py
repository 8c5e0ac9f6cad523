"""CT series: write a volume as single-frame CT images whose bytes depend on the arguments only."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

_INTERCEPT_HU = -1024
_STUDY_DATE = "20250102"
_STUDY_TIME = "101500"
_UID_NAMESPACE = uuid.UUID("0d2c4a4e-5a0b-5d0e-9a53-6d61706e6f64")
"""Root of all UIDs made here; a constant, so that equal seeds give equal UIDs everywhere."""


def write_ct_series(
    hu: NDArray[Any],
    affine_lps: NDArray[np.float64],
    folder: Path,
    *,
    patient_name: str = "Phantom^Trunk",
    patient_id: str = "MAPNODE-PHANTOM",
    description: str = "Trunk phantom",
    uid_seed: str,
    start_instance_number: int = 1,
    attributes: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write one file a slice, CT Image Storage, Explicit VR Little Endian.

    Args:
        hu: Attenuation `(slices, rows, columns)`.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS. Any orientation and either order of the slices, as long
            as rows and columns are square to each other; slices shifted against each other are a tilted gantry's.
        folder: Where the files go; made where it is missing.
        patient_name: Patient's Name (0010,0010).
        patient_id: Patient ID (0010,0020).
        description: Series Description (0008,103E).
        uid_seed: Study, Series, Frame of Reference and SOP Instance UIDs follow from it.
        start_instance_number: Instance Number (0020,0013) of the first slice of the array.
        attributes: Attributes that every slice gets besides or in place of the writer's, by keyword: PatientSize,
            BodyPartExamined, PatientPosition. None leaves an attribute out.

    Returns:
        The files, in the array's order.

    Raises:
        ValueError: If the array is not a volume or does not fit 16 bits, or rows and columns are not square.
    """
    stored = _stored_values(hu)
    grid = _Grid.from_affine(affine_lps)
    series = _series_header(patient_name, patient_id, description, uid_seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, pixels in enumerate(stored):
        header = Dataset()
        header.update(series)
        header.SOPInstanceUID = _uid(uid_seed, f"instance {index}")
        header.InstanceNumber = start_instance_number + index
        grid.describe(header, index)
        _replace(header, attributes or {})
        _attach_pixels(header, pixels)
        path = folder / f"ct_{index:04d}.dcm"
        _save(header, path)
        paths.append(path)
    return paths


@dataclass(frozen=True)
class _Grid:
    """The Image Plane Module's view of an affine (PS3.3 C.7.6.2.1.1)."""

    origin_mm: NDArray[np.float64]
    slice_step_mm: NDArray[np.float64]
    row_step_mm: NDArray[np.float64]
    column_step_mm: NDArray[np.float64]

    @classmethod
    def from_affine(cls, affine_lps: NDArray[np.float64]) -> _Grid:
        """Take an affine apart.

        Args:
            affine_lps: As `write_ct_series` takes it.

        Returns:
            Its origin and steps.

        Raises:
            ValueError: If rows and columns are not square to each other or a step is zero.
        """
        steps = np.asarray(affine_lps, dtype=np.float64)[:3, :3]
        lengths = np.linalg.norm(steps, axis=0)
        if lengths.min() <= 0 or abs(steps[:, 1] @ steps[:, 2]) > 1e-6 * lengths.max() ** 2:
            raise ValueError(f"rows and columns must be square to each other, got steps {steps.T.tolist()}")
        return cls(np.asarray(affine_lps, dtype=np.float64)[:3, 3], steps[:, 0], steps[:, 1], steps[:, 2])

    def describe(self, header: Dataset, index: int) -> None:
        """Set the plane of one slice."""
        row_mm, column_mm = float(np.linalg.norm(self.row_step_mm)), float(np.linalg.norm(self.column_step_mm))
        # The first triple is the direction of a row, along which the column index increases; the second that of a
        # column. Pixel Spacing has them the other way: first the distance between rows (PS3.3 10.7.1.3).
        header.ImageOrientationPatient = _decimals([*self.column_step_mm / column_mm, *self.row_step_mm / row_mm])
        header.PixelSpacing = _decimals([row_mm, column_mm])
        header.ImagePositionPatient = _decimals(self.origin_mm + index * self.slice_step_mm)
        normal = np.cross(self.row_step_mm, self.column_step_mm) / (row_mm * column_mm)
        thickness_mm = abs(float(self.slice_step_mm @ normal))
        header.SliceThickness = _decimal(thickness_mm)
        upright = thickness_mm / float(np.linalg.norm(self.slice_step_mm))
        # The dust of a cosine beside 1 is no tilt.
        if upright < 1 - 1e-9:
            header.GantryDetectorTilt = _decimal(math.degrees(math.acos(upright)))


def _replace(header: Dataset, attributes: Mapping[str, Any]) -> None:
    """Set attributes by keyword; None takes one out."""
    for keyword, value in attributes.items():
        if value is not None:
            setattr(header, keyword, value)
        elif keyword in header:
            delattr(header, keyword)


def _decimal(value: float) -> DSfloat:
    """Round to 1e-10, which takes floating-point dust away, and fit the 16 characters of a DS."""
    return DSfloat(round(float(value), 10) + 0.0, auto_format=True)


def _decimals(values: Any) -> list[DSfloat]:  # noqa: ANN401 - any sequence of numbers
    return [_decimal(value) for value in values]


def _uid(seed: str, name: str) -> UID:
    """Make a UID from a name-based UUID (PS3.5 B.2)."""
    return UID(f"2.25.{uuid.uuid5(_UID_NAMESPACE, f'{seed}/{name}').int}")


def _stored_values(hu: NDArray[Any]) -> NDArray[np.int16]:
    """Return the values before the Modality LUT.

    Args:
        hu: Attenuation `(slices, rows, columns)`.

    Returns:
        Whole numbers, counted from the intercept.

    Raises:
        ValueError: If the array is not a volume or does not fit 16 bits.
    """
    if hu.ndim != 3 or 0 in hu.shape:
        raise ValueError(f"expected an array (slices, rows, columns), got shape {hu.shape}")
    stored: NDArray[np.int64] = np.rint(hu).astype(np.int64) - _INTERCEPT_HU
    limits = np.iinfo(np.int16)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise ValueError(f"HU from {hu.min()} to {hu.max()} do not fit 16 bits with intercept {_INTERCEPT_HU}")
    return stored.astype(np.int16)


def _series_header(patient_name: str, patient_id: str, description: str, uid_seed: str) -> Dataset:
    """Return what all slices share."""
    header = Dataset()
    _describe_patient(header, patient_name, patient_id)
    _describe_study(header, uid_seed)
    _describe_series(header, description, uid_seed)
    _describe_scan(header)
    return header


def _describe_patient(header: Dataset, patient_name: str, patient_id: str) -> None:
    header.PatientName = patient_name
    header.PatientID = patient_id
    header.PatientBirthDate = ""
    header.PatientSex = "O"
    header.PatientAge = "050Y"
    header.PatientSize = "1.75"
    header.PatientWeight = "78"


def _describe_study(header: Dataset, uid_seed: str) -> None:
    header.StudyInstanceUID = _uid(uid_seed, "study")
    header.StudyDate = _STUDY_DATE
    header.StudyTime = _STUDY_TIME
    header.StudyID = "1"
    header.StudyDescription = "CT abdomen"
    header.AccessionNumber = "PHANTOM"
    header.ReferringPhysicianName = ""


def _describe_series(header: Dataset, description: str, uid_seed: str) -> None:
    header.Modality = "CT"
    header.SeriesInstanceUID = _uid(uid_seed, "series")
    header.SeriesNumber = 1
    header.SeriesDate = _STUDY_DATE
    header.SeriesTime = _STUDY_TIME
    header.SeriesDescription = description
    header.BodyPartExamined = "ABDOMEN"
    header.PatientPosition = "HFS"
    header.FrameOfReferenceUID = _uid(uid_seed, "frame of reference")
    header.PositionReferenceIndicator = ""
    header.Manufacturer = "mapnode phantom"
    header.ManufacturerModelName = "Trunk"
    header.SoftwareVersions = "1"


def _describe_scan(header: Dataset) -> None:
    header.SOPClassUID = CTImageStorage
    # ORIGINAL: no pixel comes from another image (PS3.3 C.7.6.1.1.2). AXIAL is the standard's word for a cross-section
    # of any orientation (C.8.2.1.1.1) and what a series selection asks for.
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.AcquisitionNumber = 1
    header.AcquisitionDate = header.ContentDate = _STUDY_DATE
    header.AcquisitionTime = header.ContentTime = _STUDY_TIME
    header.KVP = "120"
    header.ConvolutionKernel = "STANDARD"
    header.RescaleIntercept = str(_INTERCEPT_HU)
    header.RescaleSlope = "1"
    header.RescaleType = "HU"
    header.WindowCenter = "40"
    header.WindowWidth = "400"


def _attach_pixels(header: Dataset, pixels: NDArray[np.int16]) -> None:
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated = 16
    header.BitsStored = 16
    header.HighBit = 15
    header.PixelRepresentation = 1
    header.add_new(0x7FE00010, "OW", pixels.astype("<i2").tobytes())


def _save(header: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Named here, or the bytes would change with the version of pydicom.
    meta.ImplementationClassUID = _uid("mapnode", "phantom writer")
    meta.ImplementationVersionName = "MAPNODE_PHANTOM"
    FileDataset(str(path), header, file_meta=meta, preamble=b"\0" * 128).save_as(path, enforce_file_format=True)
