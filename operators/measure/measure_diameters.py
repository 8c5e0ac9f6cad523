"""MeasureDiameters: the longest diameter of every segment in a slice, and the longest one across it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform
from skimage.measure import find_contours

from operators.core import codes
from operators.core.measurements import Measurement, Quantity, SegmentMeasurements, rounded
from operators.core.segmented_regions import SegmentedRegions
from operators.runtime.step import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.segmented_regions import Box, Index, Region

LONG_AXIS = Quantity("long_axis_mm", "mm", codes.LONG_AXIS, codes.MILLIMETRE)
SHORT_AXIS = Quantity("short_axis_mm", "mm", codes.SHORT_AXIS, codes.MILLIMETRE)
HALF = 0.5
TOUCHING = np.ones((3, 3), dtype=bool)
"""Pixels of one piece share an edge or a corner."""
VERTICES_AT_ONCE = 256


@dataclass(frozen=True)
class Axis:
    """A diameter.

    Attributes:
        first: One end, row and column of the segment's grid; the centre of its first pixel is (0, 0).
        second: The other end.
        length_mm: Its length.
    """

    first: tuple[float, float]
    second: tuple[float, float]
    length_mm: float


@dataclass(frozen=True)
class Diameters:
    """The diameters of one segment.

    Attributes:
        measured: The lengths; no values for an empty segment.
        slice_index: Slice of the segment's grid that both lie in.
        long_axis: The longest diameter; None for an empty segment.
        short_axis: The longest diameter across it, in the same piece.
    """

    measured: SegmentMeasurements
    slice_index: int = 0
    long_axis: Axis | None = None
    short_axis: Axis | None = None


class MeasureDiameters(Step):
    """Measure each segment as a lesion is measured by hand (RECIST 1.1, Eisenhauer et al. 2009; WHO 1979).

    - long_axis_mm: over all slices of the segmentation, and all connected pieces of the segment in a slice, the longest
      distance between two points of a piece's outline;
    - short_axis_mm: in that slice and piece, the longest distance between two points of the outline whose connection
      is perpendicular to the long axis.

    The outline runs half way between the centres of pixels inside and outside (marching squares at 0.5, the section of
    the mesh that IBSI and pyradiomics take diameters of): n pixels in a row are n pixels long. From centre to centre
    they would be n - 1, from corner to corner a diagonal longer. The error is one pixel's diagonal at most. Slices are
    those of the segmentation: axial where it is. Two pieces in one slice are not measured across the gap between them.

    Named Input:
        label_map: SegmentedRegions.

    Named Output:
        diameters: tuple of Diameters, one a segment.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map",)
    output: ClassVar[str] = "diameters"
    share: ClassVar[float] = 2.0

    def process(self, label_map: SegmentedRegions) -> tuple[Diameters, ...]:
        """Measure."""
        return measure_diameters(label_map)


def measure_diameters(regions: SegmentedRegions) -> tuple[Diameters, ...]:
    """Long axis and short axis of each region."""
    return tuple(map(_measure, regions.regions))


def _measure(region: Region) -> Diameters:
    voxels, name = region.voxels, region.segment.name
    if not voxels:
        return Diameters(SegmentMeasurements(name, 0, ()))
    box = region.box
    _, row_mm, column_mm = region.grid.spacing_mm
    spacing_mm = np.array([row_mm, column_mm])
    begin, piece = _longest_piece(box, spacing_mm)
    long_axis, short_axis = axes_of(piece, spacing_mm)
    corner = np.array(box.corner[1:], dtype=np.float64) + begin[1:]
    values = (
        Measurement(LONG_AXIS, rounded(long_axis.length_mm)),
        Measurement(SHORT_AXIS, rounded(short_axis.length_mm)),
    )
    return Diameters(
        SegmentMeasurements(name, voxels, values),
        box.corner[0] + begin[0],
        _moved(long_axis, corner),
        _moved(short_axis, corner),
    )


def axes_of(piece: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> tuple[Axis, Axis]:
    """Long and short axis of one piece.

    Args:
        piece: `(rows, columns)`, one connected piece, not empty.
        spacing_mm: Distance between rows and between columns.

    Returns:
        Long axis, short axis.
    """
    long_axis = _long_axis(_extremes(piece), spacing_mm)
    return long_axis, _short_axis(_outline_edges(piece), long_axis, spacing_mm)


def _longest_piece(box: Box, spacing_mm: NDArray[np.float64]) -> tuple[Index, NDArray[np.bool_]]:
    """The piece with the longest diameter, the first of equals: where its mask `(rows, columns)` begins in the box."""
    longest, found = -1.0, ((0, 0, 0), box.mask[0])
    for index, plane in enumerate(box.mask):
        labels, _ = ndimage.label(plane, TOUCHING)
        for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
            # No distance in a piece is longer than the diagonal of what encloses it.
            enclosing = rows.stop - rows.start, columns.stop - columns.start
            if float(np.linalg.norm(enclosing * spacing_mm)) <= longest:
                continue
            piece = labels[rows, columns] == number
            length = _long_axis(_extremes(piece), spacing_mm).length_mm
            if length > longest:
                longest, found = length, ((index, rows.start, columns.start), piece)
    return found


def _extremes(piece: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(points, 2)`: the ends of the piece in each row and column: among them are all corners of its convex hull."""
    rows, columns = (np.flatnonzero(piece.any(axis=axis)) for axis in (1, 0))
    left, right = piece[rows].argmax(axis=1), piece.shape[1] - 1 - piece[rows, ::-1].argmax(axis=1)
    top, bottom = piece[:, columns].argmax(axis=0), piece.shape[0] - 1 - piece[::-1, columns].argmax(axis=0)
    return np.concatenate([
        np.column_stack([rows, left - HALF]),
        np.column_stack([rows, right + HALF]),
        np.column_stack([top - HALF, columns]),
        np.column_stack([bottom + HALF, columns]),
    ])


def _long_axis(points: NDArray[np.float64], spacing_mm: NDArray[np.float64]) -> Axis:
    """The two points farthest apart: they are corners of the convex hull."""
    hull = points[np.sort(ConvexHull(points).vertices)]
    distances = pdist(hull * spacing_mm)
    first, second = np.argwhere(squareform(distances) == distances.max())[0]
    return _axis(hull[first], hull[second], float(distances.max()))


def _outline_edges(piece: NDArray[np.bool_]) -> NDArray[np.float64]:
    """`(edges, 2, 2)`: all edges of the outline and of holes, row and column of both ends."""
    rings = find_contours(np.pad(piece, 1).astype(np.float64), HALF, fully_connected="high")
    return np.concatenate([np.stack([ring[:-1], ring[1:]], axis=1) for ring in rings]) - 1


def _short_axis(edges: NDArray[np.float64], long_axis: Axis, spacing_mm: NDArray[np.float64]) -> Axis:
    """The longest connection across the long axis.

    Between neighbouring corners of the outline its length changes linearly along the long axis: it is longest at one.
    """
    ends_mm = np.array([long_axis.first, long_axis.second]) * spacing_mm
    direction = (ends_mm[1] - ends_mm[0]) / long_axis.length_mm
    across = np.array([-direction[1], direction[0]])
    along, side = edges * spacing_mm @ direction, edges * spacing_mm @ across
    places = np.unique(along)
    spans = np.concatenate([
        _spans(places[begin : begin + VERTICES_AT_ONCE], along, side)
        for begin in range(0, len(places), VERTICES_AT_ONCE)
    ])
    best = int((spans[:, 1] - spans[:, 0]).argmax())
    points = (places[best] * direction + np.outer(spans[best], across)) / spacing_mm
    return _axis(points[0], points[1], float(spans[best, 1] - spans[best, 0]))


def _spans(places: NDArray[np.float64], along: NDArray[np.float64], side: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(places, 2)`: the outermost points of the outline on lines across the long axis, by their place along it."""
    low, high = along.min(axis=1), along.max(axis=1)
    share = (places[:, None] - along[:, 0]) / np.where(high > low, along[:, 1] - along[:, 0], 1.0)
    points = side[:, 0] + share * (side[:, 1] - side[:, 0])
    # Of an edge that lies across both ends count.
    flat = (high == low)[None, :]
    least = np.where(flat, side.min(axis=1), points)
    most = np.where(flat, side.max(axis=1), points)
    meets = (places[:, None] >= low) & (places[:, None] <= high)
    return np.column_stack([
        np.where(meets, least, np.inf).min(axis=1),
        np.where(meets, most, -np.inf).max(axis=1),
    ])


def _axis(first: NDArray[np.float64], second: NDArray[np.float64], length_mm: float) -> Axis:
    return Axis((float(first[0]), float(first[1])), (float(second[0]), float(second[1])), length_mm)


def _moved(axis: Axis, by: NDArray[np.float64]) -> Axis:
    return _axis(np.array(axis.first) + by, np.array(axis.second) + by, axis.length_mm)
