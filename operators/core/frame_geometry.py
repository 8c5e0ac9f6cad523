"""Frame geometry: do the frames of a result lie where they say that they come from.

A Segmentation may be flipped, shifted or transposed and still be a valid object: only its source tells. What its pixels
show cannot be judged here; where its frames lie can.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from operators.core.frame_table import FrameTable, SourceFrame
    from operators.core.source_planes import SourcePlanes

MISPLACED_PIXELS = 0.05
"""How far a corner may lie from where its source has it: positions are text and lose digits, not more."""
UNEVEN = 0.05
"""How far a distance between frames may be off a multiple of the spacing, as a part of the spacing."""
PARALLEL = 1e-3
"""How far direction cosines may be off, each other or being orthonormal."""
PARTS = (
    ("positions", "ImagePositionPatient", "Plane Position, PS3.3 C.7.6.16.2.3"),
    ("orientations", "ImageOrientationPatient", "Plane Orientation, PS3.3 C.7.6.16.2.4"),
    ("spacings", "PixelSpacing", "Pixel Measures, PS3.3 C.7.6.16.2.1"),
)
CAUSES = {
    "matrix": "have another number of rows or columns than the source images that they refer to",
    "orientation": "have rows and columns that run another way than those of the source images that they refer to: "
    "flipped, turned or transposed",
    "spacing": "have another pixel spacing than the source images that they refer to",
    "slice": "lie on another source image than the one that they refer to: flipped, shifted, or wrong references",
    "position": "lie elsewhere than the source images that they refer to: shifted",
    "nowhere": "refer to no source image and lie on none",
}
"""What is wrong with misplaced frames; "N of M frames" stands before it."""


def frame_problems(table: FrameTable, matrix: tuple[int, int], source: SourcePlanes | None = None) -> list[str]:
    """What is wrong with where frames lie.

    Args:
        table: The frames.
        matrix: Rows and Columns of the object.
        source: The images that it was made from; without them frames are held against each other alone.

    Returns:
        Sentences.
    """
    problems = _missing(table) or _inconsistent(table)
    if problems or not len(table):
        return problems
    if source is None:
        return _off_grid(table)
    return _misplaced(table, matrix, source)


def _missing(table: FrameTable) -> list[str]:
    """Each frame says where it lies, itself or for all frames (PS3.3 C.7.6.16.2)."""
    problems = []
    for name, keyword, macro in PARTS:
        missing = int((~np.isfinite(getattr(table, name)).all(axis=1)).sum())
        if missing:
            problems.append(f"{missing} of {len(table)} frames have no valid {keyword} ({macro})")
    return problems


def _inconsistent(table: FrameTable) -> list[str]:
    """All frames have one orientation, which is one, and one spacing: viewers take those of the first."""
    if not len(table):
        return []
    row, column = table.orientations[0, :3], table.orientations[0, 3:]
    problems = []
    if np.abs([row @ row - 1, column @ column - 1, row @ column]).max() > PARALLEL:
        problems.append("ImageOrientationPatient is not orthonormal (PS3.3 C.7.6.2.1.1)")
    if np.ptp(table.orientations, axis=0).max() > PARALLEL:
        problems.append("frames differ in ImageOrientationPatient: they do not lie on one grid")
    if table.spacings.min() <= 0:
        problems.append("PixelSpacing is not above 0 (PS3.3 10.7.1.1)")
    elif np.ptp(table.spacings, axis=0).max() > PARALLEL * table.spacings.min():
        problems.append("frames differ in PixelSpacing: they do not lie on one grid")
    return problems


def planes_along(table: FrameTable) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where the planes of frames lie along their normal in mm, ascending, and the plane that each frame lies in.

    Positions are text and lose digits: frames of several segments in one plane may differ in the last ones.
    """
    along = table.positions @ np.cross(table.orientations[0, :3], table.orientations[0, 3:])
    places, of_frame = np.unique(along, return_inverse=True)
    begins = np.diff(places, prepend=-np.inf) >= MISPLACED_PIXELS * table.spacings.min()
    return places[begins], (np.cumsum(begins) - 1)[of_frame]


def _off_grid(table: FrameTable) -> list[str]:
    """Positions lie on one line, a multiple of one distance apart: empty frames may be left out."""
    along, plane_of = planes_along(table)
    positions = table.positions[np.unique(plane_of, return_index=True)[1]]
    pixel_mm = float(table.spacings.min())
    if np.linalg.norm(table.positions - positions[plane_of], axis=1).max() >= MISPLACED_PIXELS * pixel_mm:
        return ["frames lie in one plane and are shifted against each other: they do not lie on one grid"]
    if len(along) == 1:
        return []
    return _uneven(np.diff(along), float(table.between[0, 0])) + _bent(positions, along, pixel_mm)


def _uneven(gaps: NDArray[np.float64], stated: float) -> list[str]:
    if stated > 0 and _parts(gaps, stated).max() > UNEVEN:
        return [
            f"SpacingBetweenSlices (0018,0088) is {stated:g} mm, but frames lie {float(gaps.min()):g} mm apart: "
            "it has to be the distance of their centres (PS3.3 C.7.6.16.2.1)"
        ]
    if _parts(gaps, float(gaps.min())).max() > UNEVEN and not stated > 0:
        return [
            f"frames lie between {float(gaps.min()):g} and {float(gaps.max()):g} mm apart, which are no multiples of "
            "one distance: they do not lie on one grid"
        ]
    return []


def _parts(gaps: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """How far gaps are from multiples of a step, as parts of the step."""
    times = gaps / step
    return np.asarray(np.abs(times - np.maximum(np.round(times), 1)))


def _bent(positions: NDArray[np.float64], along: NDArray[np.float64], pixel_mm: float) -> list[str]:
    """A gantry's tilt makes a line that is not the normal; anything but a line is no stack."""
    share = (along - along[0]) / (along[-1] - along[0])
    line = positions[0] + share[:, None] * (positions[-1] - positions[0])
    off = float(np.linalg.norm(positions - line, axis=1).max())
    if off > MISPLACED_PIXELS * pixel_mm:
        return [f"frames are shifted against each other in their plane by up to {off:.3g} mm: no grid has that"]
    return []


def _misplaced(table: FrameTable, matrix: tuple[int, int], source: SourcePlanes) -> list[str]:
    """Every frame lies on a source image that it refers to; frames of many segments share their planes."""
    planes: dict[tuple[object, ...], list[int]] = {}
    for index, (position, sources) in enumerate(zip(table.positions.tolist(), table.sources, strict=True)):
        planes.setdefault((*position, sources), []).append(index)
    members = list(planes.values())
    first = np.array([frames[0] for frames in members])
    values = np.hstack([
        table.positions[first],
        table.orientations[first],
        table.spacings[first],
        np.broadcast_to(matrix, (len(first), 2)),
    ])
    causes: Counter[str] = Counter()
    worst = 0.0
    named = [table.sources[index] for index in first]
    for plane in np.flatnonzero(~_in_place(values, named, source)):
        frames = members[plane]
        cause, distance = _judge(values[plane], named[plane], source)
        if cause:
            causes[cause] += len(frames)
            worst = max(worst, distance)
    return [_sentence(cause, count, len(table), worst) for cause, count in causes.items()]


def _in_place(
    values: NDArray[np.float64], named: Sequence[Sequence[SourceFrame]], source: SourcePlanes
) -> NDArray[np.bool_]:
    """Whether planes lie on the first image that they refer to, as nearly all do."""
    candidates = [next((i for uid, number in frames[:1] for i in source.of(uid, number)), -1) for frames in named]
    if not len(source.values):
        return np.zeros(len(values), dtype=np.bool_)
    near = _distances(values, source.values[candidates]) <= MISPLACED_PIXELS * values[:, 9:11].min(axis=1)
    return np.asarray(near & (np.array(candidates) >= 0))


def _judge(plane: NDArray[np.float64], named: Sequence[SourceFrame], source: SourcePlanes) -> tuple[str, float]:
    """Why a frame is misplaced, and by how many mm; no reason where it is not, or where its source is not there."""
    candidates = [index for uid, number in named for index in source.of(uid, number)]
    if named and not candidates:
        return "", 0.0
    values = source.values[candidates] if named else source.values
    distances = _distances(plane[None], values)
    nearest = int(np.argmin(distances))
    tolerance = MISPLACED_PIXELS * float(plane[9:11].min())
    if distances[nearest] <= tolerance:
        return "", 0.0
    if not named:
        return "nowhere", float(distances[nearest])
    return _cause(plane, values[nearest], source, tolerance), float(distances[nearest])


def _cause(plane: NDArray[np.float64], other: NDArray[np.float64], source: SourcePlanes, tolerance: float) -> str:
    if not (plane[11:] == other[11:]).all():
        return "matrix"
    if not np.abs(plane[3:9] - other[3:9]).max() <= PARALLEL:
        return "orientation"
    if not np.abs(plane[9:11] / other[9:11] - 1).max() <= PARALLEL:
        return "spacing"
    return "slice" if _distances(plane[None], source.values).min() <= tolerance else "position"


def _distances(planes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far corners of planes lie from those of others, or of one from all, mm; infinite where the matrix differs."""
    distances = np.linalg.norm(_corners(planes) - _corners(others), axis=2).max(axis=1)
    same = (others[:, 11:] == planes[:, 11:]).all(axis=1)
    return np.where(same & np.isfinite(distances), distances, np.inf)


def _corners(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(planes, 3, 3)`: centres of the first pixel, the last of the first row and of the first column."""
    position, row, column = planes[:, :3], planes[:, 3:6], planes[:, 6:9]
    across = row * (planes[:, 10] * (planes[:, 12] - 1))[:, None]
    down = column * (planes[:, 9] * (planes[:, 11] - 1))[:, None]
    return np.stack([position, position + across, position + down], axis=1)


def _sentence(cause: str, count: int, frames: int, worst_mm: float) -> str:
    away = f" by up to {worst_mm:.4g} mm" if np.isfinite(worst_mm) else ""
    return f"{count} of {frames} frames {CAUSES[cause]}{away}"
