"""Placement: where a frame lies in the patient, as its header says it (PS3.3 C.7.6.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.core.findings import FindingCode
from operators.core.header import attribute, read_numbers
from operators.core.pixel_format import LARGEST_MATRIX

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from operators.core.frames import Frame

LARGEST_PIXEL_MM = 20.0
"""No scanner has coarser pixels: a bore of 1 m would be 50 of them."""
FARTHEST_MM = 1e5
"""No patient lies 100 m from the origin."""
PLANE_KEYWORDS = (("ImageOrientationPatient", 6), ("ImagePositionPatient", 3), ("PixelSpacing", 2))
MATRIX_KEYWORDS = (("Rows", 1), ("Columns", 1))


@dataclass(frozen=True, eq=False)
class Placement:
    """One frame in space.

    Attributes:
        frame: The frame.
        orientation: `(6,)`, direction cosines of row and column (0020,0037).
        position: `(3,)`, centre of the first voxel, mm in LPS (0020,0032).
        spacing: Distance between rows, between columns, mm (0028,0030).
        matrix: Rows and Columns.
    """

    frame: Frame
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    spacing: tuple[float, float]
    matrix: tuple[int, int]


@dataclass(frozen=True)
class Unplaced:
    """Why a frame has no place.

    Attributes:
        code: Missing or invalid attribute.
        problem: Attribute and what is wrong with it, the same words for all frames with the same problem.
    """

    code: FindingCode
    problem: str


def normal_of(orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal of the slices: row direction x column direction, a unit vector in LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def place(frame: Frame) -> Placement | Unplaced:
    """Where a frame lies.

    Args:
        frame: With a flat header.

    Returns:
        Its place, or the first attribute that is missing or cannot be.
    """
    values: dict[str, NDArray[np.float64]] = {}
    for keyword, count in (*PLANE_KEYWORDS, *MATRIX_KEYWORDS):
        found = _values(frame.header, keyword, count)
        if isinstance(found, Unplaced):
            return found
        values[keyword] = found
    return _checked(frame, values)


def matrix_of(header: Dataset) -> tuple[int, int] | Unplaced:
    """Rows and Columns, checked, of a frame that need not have a place."""
    found = [_values(header, keyword, count) for keyword, count in MATRIX_KEYWORDS]
    for keyword, value in zip(("Rows", "Columns"), found, strict=True):
        if isinstance(value, Unplaced):
            return value
        if not 1 <= value[0] <= LARGEST_MATRIX:
            return Unplaced(
                FindingCode.INVALID_ATTRIBUTE, f"{attribute(keyword)} is not between 1 and {LARGEST_MATRIX}"
            )
    rows, columns = (int(value[0]) for value in found if not isinstance(value, Unplaced))
    return rows, columns


def _values(header: Dataset, keyword: str, count: int) -> NDArray[np.float64] | Unplaced:
    found = read_numbers(header, keyword)
    if found is None:
        return Unplaced(FindingCode.MISSING_ATTRIBUTE, f"{attribute(keyword)} is absent or empty")
    if found.shape != (count,) or not all(map(math.isfinite, found.tolist())):
        return Unplaced(FindingCode.INVALID_ATTRIBUTE, f"{attribute(keyword)} is not {count} finite numbers")
    return found


def _checked(frame: Frame, values: dict[str, NDArray[np.float64]]) -> Placement | Unplaced:
    matrix = matrix_of(frame.header)
    if isinstance(matrix, Unplaced):
        return matrix
    wrong = _impossible(values)
    if wrong is not None:
        return Unplaced(FindingCode.INVALID_ATTRIBUTE, wrong)
    between_rows, between_columns = values["PixelSpacing"]
    return Placement(
        frame,
        values["ImageOrientationPatient"],
        values["ImagePositionPatient"],
        (float(between_rows), float(between_columns)),
        matrix,
    )


def _impossible(values: dict[str, NDArray[np.float64]]) -> str | None:
    orientation, spacing = values["ImageOrientationPatient"], values["PixelSpacing"]
    row, column = orientation[:3], orientation[3:]
    if max(abs(row @ row - 1), abs(column @ column - 1)) > 2e-3 or abs(row @ column) > 1e-3:
        return f"{attribute('ImageOrientationPatient')} is not orthonormal"
    if (spacing <= 0).any() or (spacing > LARGEST_PIXEL_MM).any():
        return f"{attribute('PixelSpacing')} is not above 0 and at most {LARGEST_PIXEL_MM:g} mm"
    if np.abs(values["ImagePositionPatient"]).max() > FARTHEST_MM:
        return f"{attribute('ImagePositionPatient')} is farther than {FARTHEST_MM:g} mm from the origin"
    return None
