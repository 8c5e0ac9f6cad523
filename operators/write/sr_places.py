"""SR places: where a report points to on the images (PS3.16 TID 1410, TID 320; PS3.3 C.18.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom import sr

from operators.core import codes
from operators.core.mosaic import is_mosaic
from operators.write.contours import CENTRE, closed, outlines
from operators.write.stand_ins import image_references

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import SourceSlice

MOST_POINTS = 8191
"""Points of a polyline: the length of an FL element has 16 bits in Explicit VR (PS3.5 7.1.2)."""
OUTLINE_TEXT = "The outline is the segment in this slice; area and attenuation are those of its pixels in this slice."
POINTER_TEXT = (
    "The line only points to the segment, which one outline cannot draw in this slice; area and attenuation are those "
    "of all its pixels in this slice."
)


def polyline_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.float64], str]:
    """How a segment is drawn in a slice: its outline where one outline is the segment, else a line that points to it.

    Viewers compute the area of a closed polyline themselves: that of a ring or of fragments would not be the segment's.

    Args:
        mask: `(rows, columns)`, not empty.

    Returns:
        `(points, 2)` image coordinates (column, row), and a sentence that says what is drawn.
    """
    first, *others = outlines(mask)
    if others or first.holes or len(first.outer) >= MOST_POINTS:
        return pointer_line(mask), POINTER_TEXT
    return closed(first.outer), OUTLINE_TEXT


def pointer_line(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The longest run of a mask's pixels along a row, the first of equals, from edge to edge.

    Args:
        mask: `(rows, columns)`, not empty.

    Returns:
        `(2, 2)` image coordinates (column, row).

    Examples:
        >>> pointer_line(np.array([[True, False, False], [False, True, True]])).tolist()
        [[1.0, 1.5], [3.0, 1.5]]
    """
    steps = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(steps == 1), np.argwhere(steps == -1)
    longest = int((ends - starts)[:, 1].argmax())
    row = starts[longest, 0] + CENTRE
    return np.array([[starts[longest, 1], row], [ends[longest, 1], row]], dtype=np.float64)


def point_inside(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A point in the middle of a mask: of the row that halves its pixels, the middle of the longest run.

    Args:
        mask: `(rows, columns)`, not empty.

    Returns:
        `(1, 2)` image coordinates (column, row).

    Examples:
        >>> point_inside(np.array([[True, False, False], [False, True, True]])).tolist()
        [[2.0, 1.5]]
    """
    by_row = np.cumsum(mask.sum(axis=1))
    row = int(np.searchsorted(by_row, by_row[-1] / 2))
    point = pointer_line(mask[row : row + 1]).mean(axis=0, keepdims=True)
    return np.asarray(point + np.array([0, row]))


def region_of(mask: NDArray[np.bool_], source: SourceSlice) -> tuple[sr.ImageRegion, str]:
    """The region of a planar group (TID 1410), and a sentence that says what is drawn."""
    polyline, text = polyline_of(mask)
    return sr.ImageRegion(sr.GraphicTypeValues.POLYLINE, polyline, _source_image(source)), text


def location_of(mask: NDArray[np.bool_], source: SourceSlice) -> list[sr.CoordinatesForMeasurement]:
    """One point inside a segment in one slice, as the approximate spatial location of a number (TID 320, CID 7551).

    A tile of a mosaic has no image coordinates of its own: of it there is none.
    """
    if is_mosaic(source.header):
        return []
    return [
        sr.CoordinatesForMeasurement(
            sr.GraphicTypeValues.POINT, point_inside(mask), _source_image(source), codes.APPROXIMATE_SPATIAL_LOCATION
        )
    ]


def line_between(points: NDArray[np.float64], source: SourceSlice) -> sr.CoordinatesForMeasurement:
    """A line on an image that a number is the length of.

    Args:
        points: `(2, 2)` image coordinates (column, row).
        source: The image.
    """
    return sr.CoordinatesForMeasurement(sr.GraphicTypeValues.POLYLINE, points, _source_image(source))


def _source_image(source: SourceSlice) -> sr.SourceImageForRegion:
    """The image, and its frame where it has several (PS3.3 10.3)."""
    (reference,) = image_references([source])
    frame = reference.get("ReferencedFrameNumber")
    return sr.SourceImageForRegion(
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID, [frame] if frame else None
    )
