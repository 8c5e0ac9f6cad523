"""LabelMap: which voxel is what, with coded segments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from operators.core.errors import GeometryError
from operators.core.header import alike, read_numbers, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

    from operators.core.probability_map import ProbabilityMap
    from operators.core.segmented_regions import SegmentedRegions
    from operators.core.volume import Volume

LABELS = 256
"""A label map has one byte a voxel."""
MISPLACED_VOXELS = 0.25
"""Slices of a series may stray from even spacing by rounding; half a voxel is a shift."""


@dataclass(frozen=True)
class SegmentOrigin:
    """What a segment keeps that was read from an object of somebody else.

    Attributes:
        tracking_id: Tracking ID (0062,0020).
        tracking_uid: Tracking UID (0062,0021): the finding is followed by it.
        algorithm_type: Segment Algorithm Type (0062,0008): AUTOMATIC, SEMIAUTOMATIC or MANUAL; empty where the object
            does not say, as structure sets may (ROI Generation Algorithm, 3006,0036, of Type 2).
        algorithm_name: Segment Algorithm Name (0062,0009), empty for MANUAL.
        topographical: Modifier of the region that is no laterality (PS3.16 CID 2), where there is one.
    """

    tracking_id: str
    tracking_uid: str
    algorithm_type: str
    algorithm_name: str = ""
    topographical: Code | None = None


@dataclass(frozen=True)
class Segment:
    """One segment: a set of labels with its meaning.

    A segment may take in several labels, and labels may belong to several segments: the body takes in its tissues.

    Attributes:
        number: Segment Number (0062,0004), from 1.
        name: Key in result.json and in rules, snake case.
        label: Segment Label (0062,0005), for people.
        labels: Values in the label map that belong to the segment.
        category: Segmented Property Category (PS3.16 CID 7150).
        type: Segmented Property Type (PS3.16 CID 7151 and what it includes).
        colour: Display colour, 8-bit RGB.
        region: Anatomic Region, where it is part of the meaning.
        modifier: Laterality (PS3.16 CID 244), where it is part of the meaning: of the region (Anatomic Region Modifier,
            0008,2220) where there is one, else of the type (Segmented Property Type Modifier, 0062,0011).
        origin: What it keeps of the object that it was read from; None where it was made here.
    """

    number: int
    name: str
    label: str
    labels: tuple[int, ...]
    category: Code
    type: Code
    colour: tuple[int, int, int]
    region: Code | None = None
    modifier: Code | None = None
    origin: SegmentOrigin | None = None

    def mask_of(self, labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which of some labels belong to the segment, in their shape."""
        table = np.zeros(LABELS, dtype=bool)
        table[list(self.labels)] = True
        return np.asarray(table[labels])


@dataclass(frozen=True)
class Algorithm:
    """The algorithm that made a segmentation (PS3.16 TID 4019).

    Attributes:
        name: Algorithm name, also Segment Algorithm Name (0062,0009).
        version: Its version.
        digest: SHA-256 of model and parameters, hexadecimal: another model is another device.
        family: Algorithm family (PS3.16 CID 7162).
    """

    name: str
    version: str
    digest: str
    family: Code


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Labels on the grid of a volume; the array is read-only.

    Attributes:
        array: `(slices, rows, columns)`, 0 for background.
        affine_lps: The grid, as in Volume.
        segments: What the labels mean.
        algorithm: Who says so.
        landmarks: Index of the slice at which an anatomical landmark lies, for those that were found. A landmark of one
            side of the body ends in `_left` or `_right`.
        probabilities: How probable each segment is in each voxel, on the same grid, where the engine says so.
    """

    array: NDArray[np.uint8]
    affine_lps: NDArray[np.float64]
    segments: tuple[Segment, ...]
    algorithm: Algorithm
    landmarks: Mapping[str, int] = field(default_factory=dict)
    probabilities: ProbabilityMap | None = None

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8 or self.array.ndim != 3:
            raise GeometryError(
                f"a label map has three dimensions of uint8, this one {self.array.ndim} of {self.array.dtype}"
            )
        if self.probabilities is not None and self.probabilities.shape != self.array.shape:
            raise GeometryError(
                f"probabilities have the shape {self.probabilities.shape}, their label map {self.array.shape}"
            )
        self.array.flags.writeable = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Slices, rows, columns."""
        return self.array.shape

    def mask(self, segment: Segment) -> NDArray[np.bool_]:
        """`(slices, rows, columns)`, true inside the segment."""
        return segment.mask_of(self.array)

    @property
    def inside(self) -> NDArray[np.bool_]:
        """`(slices, rows, columns)`, true where anything is labelled."""
        return np.asarray(self.array > 0)

    def segment(self, name: str) -> Segment:
        """The segment of that name.

        Raises:
            KeyError: If there is none.
        """
        for segment in self.segments:
            if segment.name == name:
                return segment
        raise KeyError(f"no segment {name!r}; there are {[s.name for s in self.segments]}")


def require_same_grid(volume: Volume, label_map: LabelMap | ProbabilityMap | SegmentedRegions) -> None:
    """Refuse a map that does not lie on a volume's grid.

    Raises:
        GeometryError: If shape or affine differ.
    """
    if label_map.shape != volume.array.shape:
        raise GeometryError(
            f"the label map has the shape {label_map.shape}, its source {volume.array.shape}; "
            "bring it onto the source's grid"
        )
    if not np.allclose(label_map.affine_lps, volume.affine_lps, atol=1e-4):
        raise GeometryError("the label map lies elsewhere than its source; bring it onto the source's grid")


def require_grid_of_headers(volume: Volume, label_map: LabelMap | ProbabilityMap | SegmentedRegions) -> None:
    """Refuse a map whose voxels lie elsewhere than the headers of its source's slices say, slice by slice.

    Volume and map may agree on a grid and both be flipped, shifted or transposed against the images that a result
    refers to; readers believe the images.

    Raises:
        GeometryError: If slices are not as many as the source's, not of its matrix, or misplaced (PS3.3 C.7.6.2.1.1).
    """
    matrices = {
        (whole_number(first.header, "Rows"), whole_number(first.header, "Columns"))
        for first, *_ in alike(volume.slices, lambda source: source.header, "Rows", "Columns").values()
    }
    if len(volume.slices) != label_map.shape[0] or matrices != {label_map.shape[1:]}:
        raise GeometryError(
            f"the label map has the shape {label_map.shape}, its source {len(volume.slices)} slices of "
            f"{sorted(matrices)}; bring it onto the source's grid"
        )
    distances = _misplacements(volume, label_map)
    worst = int(distances.argmax())
    # Not "above": a distance that is no number is no place either.
    if not distances[worst] <= MISPLACED_VOXELS:
        raise GeometryError(
            f"slice {worst} of the label map lies up to {distances[worst]:.3g} voxels from where its image "
            f"{volume.slices[worst].header.SOPInstanceUID} lies; bring it onto the source's grid, "
            "in the order of the source's slices"
        )


def _misplacements(volume: Volume, label_map: LabelMap | ProbabilityMap | SegmentedRegions) -> NDArray[np.float64]:
    """`(slices,)`, largest distance in voxels between three corners of a slice on the map's grid and in its header."""
    positions, orientations, spacings = (
        np.array([read_numbers(source.header, keyword) for source in volume.slices], dtype=np.float64)
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    )
    slices, rows, columns = label_map.shape
    # The first three cosines are the direction in which the column index grows (PS3.3 equation C.7.6.2.1-1).
    down = (rows - 1) * spacings[:, :1] * orientations[:, 3:]
    along = (columns - 1) * spacings[:, 1:] * orientations[:, :3]
    said = np.stack([positions, positions + down, positions + along], axis=1)
    indices = [[(index, 0, 0), (index, rows - 1, 0), (index, 0, columns - 1)] for index in range(slices)]
    linear, origin = label_map.affine_lps[:3, :3], label_map.affine_lps[:3, 3]
    held = (said - origin) @ np.linalg.inv(linear).T
    return np.asarray(np.abs(held - indices).max(axis=(1, 2)))
