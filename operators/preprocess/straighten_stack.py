"""StraightenStack: resample a sheared stack, as a tilted gantry makes it, onto a grid with right angles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from operators.core.errors import GeometryError
from operators.core.placement import normal_of
from operators.core.volume import SHEAR_TOLERANCE_DEG, Volume
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LARGEST_SHIFT_PIXELS = 0.5
"""Below it the nearest voxel stays the nearest one in every slice."""
LARGEST_TILT_DEG = 45.0
"""Gantries tilt up to 30 degrees; beyond, the enlarged grid would be mostly padding."""
SAME_PIXEL = 1e-6
"""A shift nearer to whole pixels is one: less than any position in a header says, and float64 adds up to less."""
SQUARE_TOLERANCE = 1e-3
"""Cosine between rows and columns, as geometry allows it in Image Orientation (Patient)."""


@dataclass(frozen=True)
class StraightenStackParameters:
    """How voxels outside the source are filled.

    Attributes:
        fill: Value of voxels that the source does not say; the source's smallest where None.
    """

    fill: float | None = None

    def __post_init__(self) -> None:
        if self.fill is not None and not math.isfinite(self.fill):
            raise ValueError(f"fill is {self.fill}, not a finite number")


class StraightenStack(Step):
    """Shift the slices of a sheared stack within their planes until they lie above each other.

    The planes, their distance, and spacing and directions of rows and columns stay; rows and columns are added so
    that every source voxel lies inside. A slice is shifted by its exact offset: whole pixels unchanged, fractions by
    linear interpolation between neighbours of the same slice. Slices are never mixed.

    A stack is returned as it is where it is tilted by at most 0.2 degrees, from where on reading calls a series
    tilted, and its slices are shifted against each other by less than half a pixel, so that each voxel's nearest
    place on the straight grid is its own.

    Named Input:
        volume: Volume whose affine_lps has its slice step at any angle up to 45 degrees from the slices' normal.

    Named Output:
        straight: Volume with its slice step along the normal; voxels that the source does not say hold the fill value
            and are True in padding. slices are the sources of the planes: their images have the source's matrix and
            positions, not those of this grid.

    Raises GeometryError where the stack cannot be straightened.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "straight"
    share: ClassVar[float] = 2.0

    def process(self, volume: Volume) -> Volume:
        """Straighten."""
        parameters: StraightenStackParameters = self.parameters or StraightenStackParameters()
        return straighten_stack(volume, parameters.fill, lambda done, total: self.report(done / total))


@dataclass(frozen=True, eq=False)
class Shear:
    """How a stack is sheared.

    Attributes:
        angle_deg: Angle between slice step and normal.
        step_mm: `(3,)`, the straight slice step in mm, LPS.
        pixels: `(2,)`, shift from slice to slice in rows and columns.
    """

    angle_deg: float
    step_mm: NDArray[np.float64]
    pixels: NDArray[np.float64]

    @classmethod
    def of(cls, affine_lps: NDArray[np.float64]) -> Shear:
        """The shear of a grid.

        Args:
            affine_lps: `(4, 4)`, as in Volume.

        Raises:
            GeometryError: If rows and columns are not square to each other, or the tilt is none of a gantry.
        """
        step, row_step, column_step = affine_lps[:3, :3].T
        row, column = row_step / np.linalg.norm(row_step), column_step / np.linalg.norm(column_step)
        if abs(row @ column) > SQUARE_TOLERANCE:
            raise GeometryError("rows and columns are not square to each other; reformat the series")
        normal = normal_of(np.concatenate([column, row]))
        straight = (step @ normal) * normal
        angle = math.degrees(math.atan2(np.linalg.norm(step - straight), np.linalg.norm(straight)))
        if angle > LARGEST_TILT_DEG:
            raise GeometryError(
                f"the slices are sheared by {angle:.1f} degrees, more than the {LARGEST_TILT_DEG:g} of any gantry; "
                "reformat the series"
            )
        pixels = np.linalg.lstsq(affine_lps[:3, 1:3], step - straight)[0]
        return cls(angle, straight, pixels)

    def tilted(self, slices: int) -> bool:
        """Whether a stack of so many slices has to be straightened."""
        drift = np.abs(self.pixels).max() * (slices - 1)
        return slices > 1 and bool(self.angle_deg > SHEAR_TOLERANCE_DEG or drift >= LARGEST_SHIFT_PIXELS)


def straighten_stack(
    volume: Volume, fill: float | None = None, on_slice: Callable[[int, int], None] | None = None
) -> Volume:
    """Resample a sheared stack onto a grid whose slice step runs along the normal.

    Args:
        volume: `(slices, rows, columns)`, sheared or not.
        fill: Value of voxels that the source does not say; the source's smallest where None.
        on_slice: Called after each slice with the number of slices done and in all.

    Returns:
        A volume of the same type of voxels, whole numbers rounded to the nearest; the input where it is not tilted.

    Raises:
        GeometryError: If the stack cannot be straightened, or its voxels cannot hold the fill value.
    """
    source = volume.array
    shear = Shear.of(volume.affine_lps)
    if not shear.tilted(len(source)):
        return volume
    shifts, first = _shifts(shear.pixels, len(source))
    matrix = np.ceil(shifts.max(axis=0)).astype(int) + source.shape[1:]
    array = np.full((len(source), *matrix), _fill_value(source, fill), dtype=source.dtype)
    padding = np.ones(array.shape, dtype=bool)
    for index, shift in enumerate(shifts):
        given = None if volume.padding is None else volume.padding[index]
        _shift_slice(source[index], given, shift, array[index], padding[index])
        if on_slice is not None:
            on_slice(index + 1, len(source))
    return Volume(
        array=array,
        affine_lps=_straight_affine(volume.affine_lps, shear, first),
        frame_of_reference_uid=volume.frame_of_reference_uid,
        slices=volume.slices,
        padding=padding,
    )


def _shifts(pixels: NDArray[np.float64], slices: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where each slice's first voxel lies on the new grid, `(slices, 2)` and not negative, and the grid's own origin.

    The origin, `(2,)` in rows and columns of the first slice, is whole: that slice is never interpolated.
    """
    shifts = np.outer(np.arange(slices), pixels)
    shifts = np.where(np.abs(shifts - np.rint(shifts)) < SAME_PIXEL, np.rint(shifts), shifts)
    first = np.floor(shifts.min(axis=0))
    return shifts - first, first


def _fill_value(source: NDArray[Any], fill: float | None) -> float:
    """The fill value, which the voxels' type can hold.

    Raises:
        GeometryError: If it cannot.
    """
    if fill is None:
        return float(source.min())
    if np.issubdtype(source.dtype, np.integer):
        limits = np.iinfo(source.dtype)
        if not (float(fill).is_integer() and limits.min <= fill <= limits.max):
            raise GeometryError(
                f"the fill value {fill:g} is no {source.dtype}; choose a whole number "
                f"between {limits.min} and {limits.max}"
            )
    return fill


def _shift_slice(
    source: NDArray[Any],
    given: NDArray[np.bool_] | None,
    shift: NDArray[np.float64],
    array: NDArray[Any],
    padding: NDArray[np.bool_],
) -> None:
    """Write a shifted slice, and where it says nothing, into a slice of the new grid that is all fill and padding."""
    whole = np.floor(shift)
    fraction = shift - whole
    start = np.ceil(shift).astype(int)
    values = _interpolated(source, fraction)
    window = tuple(slice(begin, begin + size) for begin, size in zip(start, values.shape, strict=True))
    known = np.ones(values.shape, dtype=bool) if given is None else ~_touched(given, fraction)
    if values.dtype != array.dtype and np.issubdtype(array.dtype, np.integer):
        values = np.rint(values)
    np.copyto(array[window], values, casting="unsafe", where=known)
    padding[window] = ~known


def _interpolated(plane: NDArray[Any], fraction: NDArray[np.float64]) -> NDArray[Any]:
    """A plane at `fraction` of a pixel before its voxels; along an axis with a fraction the first voxel drops out."""
    for axis, part in enumerate(fraction):
        if part > 0:
            before, after = _neighbours(plane, axis)
            plane = part * before.astype(np.float64) + (1 - part) * after
    return plane


def _touched(given: NDArray[np.bool_], fraction: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which interpolated voxels take in padding."""
    for axis, part in enumerate(fraction):
        if part > 0:
            before, after = _neighbours(given, axis)
            given = before | after
    return given


def _neighbours(plane: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """All voxels but the last, and all but the first, along an axis."""
    return (plane[:-1], plane[1:]) if axis == 0 else (plane[:, :-1], plane[:, 1:])


def _straight_affine(affine_lps: NDArray[np.float64], shear: Shear, first: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(4, 4)` of the new grid: the straight step, and the origin moved by whole rows and columns."""
    straight = affine_lps.copy()
    straight[:3, 0] = shear.step_mm
    straight[:3, 3] += affine_lps[:3, 1:3] @ first
    return straight
