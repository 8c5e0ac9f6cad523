"""Volume: voxels on a regular grid in the patient's coordinate system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

Spacing = tuple[float, float, float]
"""Distances in mm between slices, rows, columns."""


@dataclass(frozen=True)
class SourceSlice:
    """The instance behind one slice of a volume.

    Attributes:
        path: The file that it was read from.
        header: Its data set without Pixel Data.
        pixel_sha256: SHA-256 of Pixel Data (7FE0,0010) as stored, hexadecimal.
    """

    path: Path
    header: Dataset
    pixel_sha256: str


@dataclass(frozen=True, eq=False)
class Volume:
    """A regular volume; its array is read-only, so that no step changes another's input.

    Attributes:
        array: `(slices, rows, columns)`, the output of the Modality LUT (PS3.3 C.11.1): HU for CT.
        affine_lps: `(4, 4)`; affine_lps @ (slice, row, column, 1) = position in mm of the voxel's centre,
            LPS (PS3.3 C.7.6.2.1.1).
        frame_of_reference_uid: Frame of Reference UID (0020,0052).
        slices: The source of each slice, in the array's order.
    """

    array: NDArray[Any]
    affine_lps: NDArray[np.float64]
    frame_of_reference_uid: str
    slices: tuple[SourceSlice, ...]

    def __post_init__(self) -> None:
        self.array.flags.writeable = False
        self.affine_lps.flags.writeable = False

    @property
    def spacing_mm(self) -> Spacing:
        """Distance in mm between slices, rows, columns."""
        slices, rows, columns = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3, from the positions of the slices, not from Slice Thickness."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3])))

    def position_lps(self, slice_index: int) -> tuple[float, float, float]:
        """Centre of the first voxel of a slice, mm in LPS: its Image Position (Patient)."""
        x, y, z, _ = self.affine_lps @ (slice_index, 0, 0, 1)
        return float(x), float(y), float(z)
