"""Volume: voxels on a regular grid in the patient's coordinate system."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core.errors import GeometryError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom import Dataset

SHEAR_TOLERANCE_DEG = 0.2
"""Angle between the line through the positions and the normal above which a stack counts as tilted."""
Spacing = tuple[float, float, float]
"""Distances in mm between slices, rows, columns."""


@dataclass(frozen=True)
class SourceSlice:
    """The instance behind one slice of a volume.

    Attributes:
        path: The file that it was read from.
        header: Its data set without Pixel Data; for a frame or a tile with what belongs to that frame put in.
        pixel_sha256: SHA-256 of the frame's bytes in Pixel Data (7FE0,0010) as stored, hexadecimal.
        frame_number: Frame Number, from 1.
    """

    path: Path
    header: Dataset
    pixel_sha256: str
    frame_number: int = 1


@dataclass(frozen=True, eq=False)
class Volume:
    """A regular volume; its array is read-only, so that no step changes another's input.

    Attributes:
        array: `(slices, rows, columns)`, the output of the Modality LUT (PS3.3 C.11.1): HU for CT.
        affine_lps: `(4, 4)`; affine_lps @ (slice, row, column, 1) = position in mm of the voxel's centre,
            LPS (PS3.3 C.7.6.2.1.1).
        frame_of_reference_uid: Frame of Reference UID (0020,0052).
        slices: The source of each slice, in the array's order.
        padding: `(slices, rows, columns)`, true where the scanner wrote Pixel Padding (PS3.3 C.7.5.1.1.2), no tissue;
            None where it wrote none.
    """

    array: NDArray[Any]
    affine_lps: NDArray[np.float64]
    frame_of_reference_uid: str
    slices: tuple[SourceSlice, ...]
    padding: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.padding is not None:
            self.padding.flags.writeable = False
        self.array.flags.writeable = False
        self.affine_lps.flags.writeable = False

    @property
    def spacing_mm(self) -> Spacing:
        """Distance in mm between slices, rows, columns."""
        slices, rows, columns = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)

    @property
    def is_sheared(self) -> bool:
        """Whether slices are shifted against each other, as a tilted gantry leaves them (`StraightenStack`)."""
        step, row, column = (self.affine_lps[:3, axis] / np.linalg.norm(self.affine_lps[:3, axis]) for axis in range(3))
        return max(abs(float(step @ row)), abs(float(step @ column))) > math.sin(math.radians(SHEAR_TOLERANCE_DEG))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in mm3, from the positions of the slices, not from Slice Thickness."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3])))

    def position_lps(self, slice_index: int) -> tuple[float, float, float]:
        """Centre of the first voxel of a slice, mm in LPS: its Image Position (Patient)."""
        x, y, z, _ = self.affine_lps @ (slice_index, 0, 0, 1)
        return float(x), float(y), float(z)


def require_frame_of_reference(volume: Volume) -> None:
    """Refuse a volume whose places are in no frame: an object with coordinates in mm cannot say what they mean.

    Raises:
        GeometryError: If the source has no Frame of Reference UID (PS3.3 C.7.4.1).
    """
    if not volume.frame_of_reference_uid:
        raise GeometryError(
            "the source has no Frame of Reference UID (0020,0052), which places in mm belong to; "
            "send the images as the scanner wrote them"
        )
