"""Segmented regions: what a SEG or RT Structure Set that somebody else made says, segment by segment.

A region is a bit a voxel inside its bounding box: regions may overlap, lie on grids of their own, and be many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from operators.core.label_map import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from operators.core.label_map import Algorithm
    from operators.core.volume import SourceSlice

SAME_LATTICE = 0.01
"""How far voxel centres of two grids may lie apart, in voxels, to be the same: positions are text and lose digits."""

CONTOURS = "RTSTRUCT"
"""Kind of an object that has contours."""

Index = tuple[int, int, int]
"""Slice, row, column."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie.

    Attributes:
        shape: Slices, rows, columns.
        affine_lps: `(4, 4)`; affine_lps @ (slice, row, column, 1) = position of the voxel's centre, mm in LPS.
    """

    shape: Index
    affine_lps: NDArray[np.float64]

    def __post_init__(self) -> None:
        self.affine_lps.flags.writeable = False

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        return float(abs(np.linalg.det(self.affine_lps[:3, :3])))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance in mm between slices, rows, columns."""
        slices, rows, columns = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)

    def in_voxels_of(self, other: Grid) -> NDArray[np.float64]:
        """`(4, 4)`: index in this grid to index in another one, fractions included."""
        return np.asarray(np.linalg.inv(other.affine_lps) @ self.affine_lps)


@dataclass(frozen=True, eq=False)
class Box:
    """A mask inside its bounding box.

    Attributes:
        corner: Index of the box's first voxel in the grid.
        mask: `(slices, rows, columns)` of the box, true inside.
    """

    corner: Index
    mask: NDArray[np.bool_]

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """What the box takes from an array of the whole grid."""
        first, second, third = (slice(c, c + n) for c, n in zip(self.corner, self.mask.shape, strict=True))
        return first, second, third

    def plane(self, index: int, matrix: tuple[int, int]) -> NDArray[np.bool_]:
        """`(rows, columns)` of a slice of the whole grid, which the box reaches."""
        whole = np.zeros(matrix, dtype=bool)
        whole[self.slices[1:]] = self.mask[index - self.corner[0]]
        return whole


@dataclass(frozen=True, eq=False)
class Region:
    """One segment, or ROI, as it was read.

    Attributes:
        segment: Its name, codes, tracking; `labels` has the number that it has in its object.
        grid: The grid that its object has.
        corner: Index of the bounding box's first voxel.
        shape: Shape of the bounding box; zeros where the segment is empty.
        bits: The mask inside the box, a bit a voxel (`numpy.packbits`).
        remark: How the mask came about where that is a choice, such as a threshold; for the report.
        unmeasured: Why it has no voxel although something was drawn; empty of all others.
    """

    segment: Segment
    grid: Grid
    corner: Index
    shape: Index
    bits: NDArray[np.uint8]
    remark: str = ""
    unmeasured: str = ""

    def __post_init__(self) -> None:
        self.bits.flags.writeable = False

    @property
    def number(self) -> int:
        """Segment Number (0062,0004), or ROI Number (3006,0022)."""
        return self.segment.labels[0]

    @property
    def box(self) -> Box:
        """The mask, unpacked."""
        count = int(np.prod(self.shape))
        return Box(self.corner, np.unpackbits(self.bits, count=count).astype(bool).reshape(self.shape))

    @property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(np.bitwise_count(self.bits).sum())

    def on(self, target: Grid) -> Box:
        """The region on another grid: each voxel there whose centre lies in a voxel of the region.

        This is nearest neighbour interpolation; on the same lattice every voxel stays what it is.
        """
        shift = self._shift_to(target)
        return self._sampled(target) if shift is None else _clipped(self.box, shift, target.shape)

    def _shift_to(self, target: Grid) -> Index | None:
        """Whole voxels between the two grids; None where they are not of one lattice as far as the region reaches."""
        to_target = self.grid.in_voxels_of(target)
        corners = np.array([(*corner, 1.0) for corner in box_corners(self.corner, self.shape)])
        moved = (corners @ to_target.T)[:, :3] - corners[:, :3]
        shift = np.round(moved[0])
        if np.abs(moved - shift).max() > SAME_LATTICE:
            return None
        first, second, third = map(int, shift)
        return first, second, third

    def _sampled(self, target: Grid) -> Box:
        box = self.box
        to_target, to_own = self.grid.in_voxels_of(target), target.in_voxels_of(self.grid)
        # Voxels reach half a voxel around their centres.
        reach = np.array([(*c, 1.0) for c in box_corners(self.corner, self.shape, 0.5)]) @ to_target.T
        low = np.maximum(np.ceil(reach[:, :3].min(axis=0)), 0).astype(int)
        high = np.minimum(np.floor(reach[:, :3].max(axis=0)) + 1, target.shape).astype(int)
        size = np.maximum(high - low, 0)
        mask = np.zeros(tuple(size), dtype=bool)
        rows, columns = np.ogrid[low[1] : low[1] + size[1], low[2] : low[2] + size[2]]
        for number in range(size[0]):
            index = [
                np.floor(a[0] * (low[0] + number) + a[1] * rows + a[2] * columns + a[3] + 0.5).astype(int) - corner
                for a, corner in zip(to_own[:3], self.corner, strict=True)
            ]
            inside = np.logical_and.reduce([(i >= 0) & (i < n) for i, n in zip(index, box.mask.shape, strict=True)])
            mask[number][inside] = box.mask[tuple(i[inside] for i in index)]
        return Box((int(low[0]), int(low[1]), int(low[2])), mask)


@dataclass(frozen=True, eq=False)
class SegmentedObject:
    """A SEG or RT Structure Set as it was read.

    Attributes:
        source: The file, its header, and the SHA-256 of all its bytes.
        kind: BINARY, FRACTIONAL, LABELMAP (Segmentation Type, 0062,0001) or RTSTRUCT.
        regions: Its segments, in their order.
    """

    source: SourceSlice
    kind: str
    regions: tuple[Region, ...]


@dataclass(frozen=True, eq=False)
class SegmentedRegions:
    """All regions that a run measures.

    Attributes:
        objects: The objects that they were read from.
        source_grid: The grid of the images that they were made on.
        algorithm: What measures them.
    """

    objects: tuple[SegmentedObject, ...]
    source_grid: Grid
    algorithm: Algorithm

    @property
    def regions(self) -> tuple[Region, ...]:
        """Those of all objects."""
        return tuple(region for one in self.objects for region in one.regions)

    @property
    def shape(self) -> Index:
        """Slices, rows and columns of the images."""
        return self.source_grid.shape

    @property
    def affine_lps(self) -> NDArray[np.float64]:
        """The images' grid, as in Volume."""
        return self.source_grid.affine_lps

    @property
    def inside(self) -> NDArray[np.bool_]:
        """`(slices, rows, columns)` of the images' grid, true where any region is."""
        found = np.zeros(self.shape, dtype=bool)
        for region in self.regions:
            box = region.on(self.source_grid)
            found[box.slices] |= box.mask
        return found

    @property
    def contoured(self) -> SegmentedRegions:
        """Those that came as contours: they lie on the images' grid, and no SEG has them yet."""
        return replace(self, objects=tuple(one for one in self.objects if one.kind == CONTOURS))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What the regions are."""
        return tuple(region.segment for region in self.regions)

    @property
    def slices(self) -> tuple[SourceSlice, ...]:
        """The objects as inputs that a result's identity depends on."""
        return tuple(one.source for one in self.objects)

    def segment(self, name: str) -> Segment:
        """The segment of that name.

        Raises:
            KeyError: If there is none.
        """
        for segment in self.segments:
            if segment.name == name:
                return segment
        raise KeyError(f"no segment {name!r}; there are {[s.name for s in self.segments]}")


class RegionBuilder:
    """Collects the planes of one segment and packs them into a region."""

    def __init__(self) -> None:
        self._planes: list[tuple[int, tuple[int, int], NDArray[np.bool_]]] = []

    def add(self, index: int, plane: NDArray[np.bool_]) -> None:
        """Add `(rows, columns)` of a slice; of a slice that comes twice the union counts."""
        rows, columns = (np.flatnonzero(plane.any(axis=axis)) for axis in (1, 0))
        if rows.size:
            part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            self._planes.append((index, (int(rows[0]), int(columns[0])), part.copy()))

    def region(self, segment: Segment, grid: Grid, remark: str = "") -> Region:
        """The region; an empty one where nothing was added."""
        if not self._planes:
            return Region(segment, grid, (0, 0, 0), (0, 0, 0), np.zeros(0, np.uint8), remark)
        lows = np.array([(index, *corner) for index, corner, _ in self._planes])
        highs = np.array([(i + 1, r + p.shape[0], c + p.shape[1]) for i, (r, c), p in self._planes])
        low, high = lows.min(axis=0), highs.max(axis=0)
        mask = np.zeros(tuple(high - low), dtype=bool)
        for (index, row, column), (_, _, part) in zip(lows - low, self._planes, strict=True):
            mask[index, row : row + part.shape[0], column : column + part.shape[1]] |= part
        first, second, third = map(int, low)
        return Region(segment, grid, (first, second, third), mask.shape, np.packbits(mask), remark)


def box_corners(corner: Index, shape: Iterable[int], margin: float = 0.0) -> Iterator[tuple[float, float, float]]:
    """Indices of the eight outermost voxels of a box, or of points so many voxels outside of them."""
    ends = [(low - margin, low + count - 1 + margin) for low, count in zip(corner, shape, strict=True)]
    return ((s, r, c) for s in ends[0] for r in ends[1] for c in ends[2])


def _clipped(box: Box, shift: Index, shape: Index) -> Box:
    """A box moved by whole voxels, as far as it lies in a grid of that shape."""
    moved = [corner + by for corner, by in zip(box.corner, shift, strict=True)]
    cut = tuple(
        slice(min(max(0, -low), count), max(0, min(count, size - low)))
        for low, count, size in zip(moved, box.mask.shape, shape, strict=True)
    )
    first, second, third = (max(0, low) for low in moved)
    return Box((first, second, third), box.mask[cut])
