"""Source planes: where the images lie that a result was made from, so that the result can be held against them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from operators.core.frame_table import read_frames
from operators.core.frames import UnreadableFrames, frames_of
from operators.core.header import read_numbers, read_text
from operators.core.kinds import MULTI_FRAME
from operators.core.mosaic import is_mosaic
from operators.core.reading import Instance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from pydicom import Dataset

PLANE_KEYWORDS = (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6), ("PixelSpacing", 2))
VALUES = 13
"""Numbers of a plane: position, orientation, spacing, Rows and Columns."""

NOWHERE = (float("nan"),) * VALUES
"""The place of an image that does not say it: nothing lies there."""


@dataclass(frozen=True, eq=False)
class SourcePlanes:
    """Images, and frames of images, in space.

    Attributes:
        values: `(planes, 13)`: position in mm LPS, direction cosines of row and column, distance between rows and
            between columns in mm, Rows, Columns; NaN where an image does not say it.
        frames: `(planes,)`, Frame Number of each, from 1.
        of_instance: Planes of each SOP Instance UID.
        frames_of_reference: Frame of Reference UIDs (0020,0052) of the images.
    """

    values: NDArray[np.float64]
    frames: NDArray[np.int64]
    of_instance: dict[str, list[int]]
    frames_of_reference: frozenset[str]

    def of(self, uid: str, frame: int) -> list[int]:
        """Planes of an instance: all, or that of a frame where it has several and one is named."""
        planes = self.of_instance.get(uid, [])
        if frame and len(planes) > 1:
            return [plane for plane in planes if self.frames[plane] == frame]
        return planes


def planes_of(headers: Iterable[Dataset]) -> SourcePlanes:
    """Where images lie.

    Args:
        headers: Of single-frame and enhanced images and mosaics.

    Returns:
        Their planes; an image without a place has one that equals no other.
    """
    values: list[tuple[float, ...]] = []
    frames: list[int] = []
    of_instance: dict[str, list[int]] = {}
    references = set()
    for header in headers:
        references.add(read_text(header, "FrameOfReferenceUID"))
        planes = list(_planes(header))
        first = len(values)
        of_instance.setdefault(read_text(header, "SOPInstanceUID"), []).extend(range(first, first + len(planes)))
        values.extend(planes)
        frames.extend(range(1, len(planes) + 1))
    array = np.array(values, dtype=np.float64).reshape(-1, VALUES)
    return SourcePlanes(array, np.array(frames, dtype=np.int64), of_instance, frozenset(references - {""}))


def _planes(header: Dataset) -> Iterator[tuple[float, ...]]:
    """The planes of one instance, frame by frame."""
    matrix = _numbers(header, "Rows", 1) + _numbers(header, "Columns", 1)
    if read_text(header, "SOPClassUID") in MULTI_FRAME:
        table = read_frames(header)
        for row in np.hstack([table.positions, table.orientations, table.spacings]).tolist():
            yield (*row, *matrix)
    elif is_mosaic(header):
        try:
            frames = frames_of(Instance(Path("mosaic"), header))
        except UnreadableFrames:
            frames = ()
        yield from (_plane(frame.header) for frame in frames) if frames else (NOWHERE,)
    else:
        yield _plane(header)


def _plane(header: Dataset) -> tuple[float, ...]:
    keywords = (*PLANE_KEYWORDS, ("Rows", 1), ("Columns", 1))
    return tuple(itertools.chain.from_iterable(_numbers(header, keyword, count) for keyword, count in keywords))


def _numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    found = read_numbers(header, keyword)
    return tuple(found.tolist()) if found is not None and found.shape == (count,) else (float("nan"),) * count
