"""Contours: closed polygons around the pixels of a mask, for SR, presentation states and structure sets.

**Coordinates.** A ring is an array `(points, 2)` of `(column, row)` pairs in image coordinates: the top left corner of
the top left pixel is (0, 0), its centre (0.5, 0.5), its bottom right corner (1, 1), the bottom right corner of the
last pixel (Columns, Rows). These are the coordinates of Graphic Data (0070,0022) in an SCOORD content item (PS3.3
C.18.6) and of annotations in PIXEL units of a presentation state (PS3.3 C.10.5): a ring goes into both as it is, once
`closed` has put its first point behind its last one. Displayed Area counts otherwise, from (1, 1).

**Exact.** Rings run along the edges of pixels, so all their coordinates are whole numbers, and the area that anybody
computes from them is the count of pixels. All pixel centres are at least half a pixel away: whoever fills a ring
gets the mask back, whatever he does with points on the edge.

**Orientation.** Outer rings run clockwise as the image is displayed, holes counterclockwise: inside is on the right.
The signed areas of all rings of a mask sum up to its pixels. A ring begins at its topmost, then leftmost point; the
last point is not the first one again; no three points lie on a line; a ring neither crosses nor touches itself. Pixels
that touch at a corner only are not connected: they get rings of their own.

To draw a segment as one polygon of an SR, where the polygon has to be the segment:

    if is_simple(mask):
        (outline,) = outlines(mask)
        graphic_data = closed(outline.outer)
        area_mm2 = ring_area_mm2(outline.outer, row_mm, column_mm)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from scipy import ndimage

Point: TypeAlias = tuple[float, float]
"""Column and row."""

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    Ring: TypeAlias = NDArray[np.float64]
    Indices: TypeAlias = NDArray[np.int64]

CENTRE = 0.5
"""Image coordinate of the centre of the first pixel, which array indices call 0."""


@dataclass(frozen=True, eq=False)
class Outline:
    """One connected piece of a mask.

    Attributes:
        outer: `(points, 2)`, the ring around it, clockwise as displayed.
        holes: The rings of its holes, counterclockwise; what lies in a hole is another Outline.
    """

    outer: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def pixels(self) -> int:
        """Count of the pixels of the piece, without its holes."""
        return round(sum(signed_area_px(ring) for ring in (self.outer, *self.holes)))


def outlines(mask: NDArray[np.bool_]) -> tuple[Outline, ...]:
    """The exact outlines of a mask.

    Args:
        mask: `(rows, columns)`, true inside.

    Returns:
        One outline for each piece of pixels that are connected by their edges, by topmost, then leftmost point of the
        outer ring; none for an empty mask.

    Examples:
        >>> (only,) = outlines(np.array([[False, True, True]]))
        >>> only.outer.tolist()
        [[1.0, 0.0], [3.0, 0.0], [3.0, 1.0], [1.0, 1.0]]
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return ()
    part = np.asarray(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], dtype=bool)
    rings = sorted((loop for ring in _traced(part) for loop in _loops(ring)), key=_first_point)
    corner = np.array([columns[0], rows[0]], dtype=np.float64)
    return tuple(
        Outline(outer + corner, tuple(hole + corner for hole in holes)) for outer, holes in _with_holes(rings, part)
    )


def is_simple(mask: NDArray[np.bool_]) -> bool:
    """Whether one polygon is the whole mask `(rows, columns)`: one piece, no hole, no point touched twice."""
    found = outlines(mask)
    return len(found) == 1 and not found[0].holes


def closed(ring: Ring) -> Ring:
    """The ring `(points + 1, 2)` with its first point behind its last one, as a closed POLYLINE is written."""
    return np.concatenate([ring, ring[:1]])


def signed_area_px(ring: Ring) -> float:
    """Area in pixels by the shoelace formula: positive where the ring runs clockwise as displayed (outer rings)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def ring_area_mm2(ring: Ring, row_mm: float, column_mm: float) -> float:
    """Area inside a ring in mm2, never negative; of a whole outline subtract that of its holes.

    Args:
        ring: `(points, 2)`, image coordinates.
        row_mm: Distance between rows, the first value of Pixel Spacing (0028,0030).
        column_mm: Distance between columns, the second.

    Examples:
        >>> ring_area_mm2(np.array([[1.0, 0.0], [3.0, 0.0], [3.0, 1.0], [1.0, 1.0]]), 0.5, 2.0)
        2.0
    """
    return abs(signed_area_px(ring)) * row_mm * column_mm


def simplified(ring: Ring, tolerance_px: float) -> Ring:
    """A ring of fewer points, for display alone: it may touch itself, and its area is no measurement.

    Args:
        ring: `(points, 2)`.
        tolerance_px: No point of the ring is farther than this from the simplified one; 0.75 turns stairs into slopes.

    Returns:
        `(points, 2)`: a subset of the points, at least 3, in the same order (Douglas-Peucker).
    """
    # Imported here: it brings scipy.signal and scipy.stats, a second of start-up for rings that few runs have.
    from skimage.measure import approximate_polygon

    kept = np.asarray(approximate_polygon(closed(ring), tolerance_px))[:-1]
    return kept if len(kept) > 2 else ring


def keyhole(outline: Outline) -> Ring:
    """One ring for an outline with its holes (PS3.3 C.8.8.6.3): each hole hangs on a channel of no width.

    Channels run along pixel edges, upwards from a hole's first point to the next ring, there and back. Readers that
    fill rings by even-odd or by winding number, that unite rings or combine them by exclusive or, all get the mask.

    Args:
        outline: A piece of a mask.

    Returns:
        `(points, 2)`, the outer ring itself where there are no holes.
    """
    rings = [outline.outer, *sorted(outline.holes, key=_first_point)]
    hung = _hung(rings)
    paths: dict[int, list[Point]] = {}
    # A hole hangs on a ring that begins above it: those below are complete when they are hung.
    for number in reversed(range(len(rings))):
        paths[number] = _path(rings[number], hung.get(number, []), paths)
    ring = np.array(paths[0])
    return np.asarray(ring[(ring != np.roll(ring, 1, axis=0)).any(axis=1)])


def to_lps(ring: Ring, slice_index: int, affine_lps: NDArray[np.float64]) -> NDArray[np.float64]:
    """A ring in the patient's coordinate system.

    Args:
        ring: `(points, 2)`, image coordinates.
        slice_index: Slice of the volume that it lies in.
        affine_lps: The volume's: (slice, row, column, 1) to mm, for centres of voxels.

    Returns:
        `(points, 3)`, mm in LPS.
    """
    columns, rows = ring[:, 0] - CENTRE, ring[:, 1] - CENTRE
    indices = np.stack([np.full(len(ring), slice_index), rows, columns, np.ones(len(ring))], axis=1)
    return np.asarray((indices @ affine_lps.T)[:, :3])


def _traced(part: NDArray[np.bool_]) -> Iterator[Ring]:
    """Rings with inside on their right; where pixels touch at a corner, each ring stays with its pixel.

    Rings alternate between horizontal and vertical runs of pixel edges.
    """
    padded = np.pad(part, 1)
    right = _runs(padded[1:, 1:-1] & ~padded[:-1, 1:-1])
    left = _runs(padded[:-1, 1:-1] & ~padded[1:, 1:-1])[:, ::-1]
    down = _runs((padded[1:-1, :-1] & ~padded[1:-1, 1:]).T)[..., ::-1]
    up = _runs((padded[1:-1, 1:] & ~padded[1:-1, :-1]).T)[:, ::-1, ::-1]
    # Where two runs arrive at a vertex and two leave, "down" follows "right" and "up" follows "left": a turn to the
    # right. So does "right" follow "up" and "left" follow "down".
    horizontal, vertical = np.concatenate([right, left]), np.concatenate([up, down])
    to_vertical = _matched(horizontal[:, 1], np.concatenate([down, up])[:, 0], shift=len(up))
    to_horizontal = _matched(vertical[:, 1], horizontal[:, 0])
    corners = horizontal[..., ::-1].astype(np.float64)
    for cycle in _cycles(to_horizontal[to_vertical].tolist()):
        yield corners[cycle].reshape(-1, 2)


def _runs(edges: NDArray[np.bool_]) -> Indices:
    """`(runs, 2, 2)`: vertices `(row, column)` of start and end of each maximal run of true values along the rows."""
    padded = np.pad(edges, ((0, 0), (1, 1)))
    # In each row starts and ends take turns.
    changes = np.flatnonzero(padded[:, 1:] != padded[:, :-1])
    return np.stack(np.divmod(changes, edges.shape[1] + 1), axis=1).reshape(-1, 2, 2)


def _matched(ends: Indices, starts: Indices, *, shift: int = 0) -> Indices:
    """For each end the index of the start at the same vertex; where there are two, in the order of the lists.

    Args:
        ends: `(runs, 2)`, vertices.
        starts: `(runs, 2)`, the same vertices in another order.
        shift: Added to the indices, modulo their number: for a list that begins elsewhere.
    """
    order_of_ends, order_of_starts = (np.lexsort((v[:, 1], v[:, 0])) for v in (ends, starts))
    match = np.empty(len(ends), dtype=np.int64)
    match[order_of_ends] = (order_of_starts + shift) % len(starts)
    return match


def _cycles(following: list[int]) -> Iterator[list[int]]:
    """The cycles of a permutation."""
    seen = bytearray(len(following))
    for first in range(len(following)):
        member, cycle = first, []
        while not seen[member]:
            seen[member] = 1
            cycle.append(member)
            member = following[member]
        if cycle:
            yield cycle


def _loops(ring: Ring) -> Iterator[Ring]:
    """The ring cut where it touches itself, each part with its first point in front."""
    vertices = ring @ (1, ring.max() + 1)
    if len(set(vertices.tolist())) == len(ring):
        yield _from_first_point(ring)
        return
    path: list[Point] = []
    place: dict[Point, int] = {}
    for column, row in ring.tolist():
        at = place.get((column, row))
        if at is not None:
            yield _from_first_point(np.array(path[at:]))
            for point in path[at:]:
                del place[point]
            del path[at:]
        place[column, row] = len(path)
        path.append((column, row))
    yield _from_first_point(np.array(path))


def _from_first_point(ring: Ring) -> Ring:
    return np.roll(ring, -int(np.lexsort((ring[:, 0], ring[:, 1]))[0]), axis=0)


def _first_point(ring: Ring) -> Point:
    """Row and column of the topmost, then leftmost point."""
    return float(ring[0, 1]), float(ring[0, 0])


def _with_holes(rings: Sequence[Ring], part: NDArray[np.bool_]) -> list[tuple[Ring, list[Ring]]]:
    """Outer rings, each with the holes of its piece."""
    areas = [signed_area_px(ring) for ring in rings]
    outer = [(ring, list[np.ndarray]()) for ring, area in zip(rings, areas, strict=True) if area > 0]
    inner = [ring for ring, area in zip(rings, areas, strict=True) if area < 0]
    if len(outer) == 1:
        outer[0][1].extend(inner)
    elif inner:
        pieces, _ = ndimage.label(part)
        holes_of = {_piece(ring, pieces, 0): holes for ring, holes in outer}
        for ring in inner:
            holes_of[_piece(ring, pieces, -1)].append(ring)
    return outer


def _piece(ring: Ring, pieces: NDArray[Any], row_step: int) -> int:
    """The piece of the pixel below (outer ring) or above (hole) the top edge that begins at the first point."""
    column, row = ring[0].astype(int)
    return int(pieces[row + row_step, column])


class _Channel(NamedTuple):
    """Where a hole hangs: on which edge of its ring, how far from the edge's beginning, at which point."""

    edge: int
    distance: float
    point: Point
    hole: int


def _hung(rings: Sequence[Ring]) -> dict[int, list[_Channel]]:
    """For each ring the holes that hang on it, in the order in which one meets them."""
    edges = np.concatenate([_horizontal_edges(ring, number) for number, ring in enumerate(rings)])
    rows, lows, highs = edges[:, 0], edges[:, 1:3].min(axis=1), edges[:, 1:3].max(axis=1)
    hung: dict[int, list[_Channel]] = {}
    for hole in range(1, len(rings)):
        column, row = rings[hole][0].tolist()
        above = np.flatnonzero((rows < row) & (lows <= column) & (column <= highs))
        landing, start, _, edge, ring = edges[above[rows[above].argmax()]].tolist()
        channel = _Channel(int(edge), abs(column - start), (column, landing), hole)
        hung.setdefault(int(ring), []).append(channel)
    return {ring: sorted(channels) for ring, channels in hung.items()}


def _horizontal_edges(ring: Ring, number: int) -> NDArray[np.float64]:
    """`(edges, 5)`: row, column of start and of end, index in the ring, number of the ring."""
    following = np.roll(ring, -1, axis=0)
    level = np.flatnonzero(ring[:, 1] == following[:, 1])
    columns = ring[level, 0], following[level, 0]
    return np.stack([ring[level, 1], *columns, level, np.full(len(level), number)], axis=1)


def _path(ring: Ring, channels: Sequence[_Channel], paths: Mapping[int, list[Point]]) -> list[Point]:
    """The points of a ring with a detour for each hole that hangs on it."""
    points: list[Point] = [(column, row) for column, row in ring.tolist()]
    path: list[Point] = []
    done = 0
    for channel in channels:
        path += points[done : channel.edge + 1]
        done = max(done, channel.edge + 1)
        hole = paths[channel.hole]
        path += [channel.point, *hole, hole[0], channel.point]
    return path + points[done:]
