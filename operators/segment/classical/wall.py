"""Wall: the inner surface of the abdominal wall, by rays that run inwards from the fascia."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from operators.segment.classical.grid import signed_distance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.morphology import Spacing
    from operators.segment.classical.parameters import TrunkParameters
    from operators.segment.classical.spine import SpineTrack

_RAY_BORDERS: list[Literal["nearest", "wrap"]] = ["nearest", "wrap"]
"""Slices end, angles come round."""


@dataclass(frozen=True, eq=False)
class Rays:
    """Rays from the middle of each slice through the fascia.

    Attributes:
        centre_rows: Row where the rays of a slice start.
        centre_columns: Column where they start.
        angles: Direction in radians, 0 towards left, growing towards posterior.
        fascia_mm: Radius at which a ray leaves the fascia, `(slices, angles)`.
    """

    centre_rows: NDArray[np.float64]
    centre_columns: NDArray[np.float64]
    angles: NDArray[np.float64]
    fascia_mm: NDArray[np.float64]

    def points(self, radii_mm: NDArray[np.float64], spacing_mm: Spacing) -> NDArray[np.float64]:
        """Give the grid coordinates of points at `radii_mm` `(slices, angles, points)`, as `(3, ...)`."""
        sine, cosine = np.sin(self.angles)[None, :, None], np.cos(self.angles)[None, :, None]
        slices = np.broadcast_to(np.arange(radii_mm.shape[0])[:, None, None], radii_mm.shape)
        rows = self.centre_rows[:, None, None] + radii_mm * sine / spacing_mm[1]
        columns = self.centre_columns[:, None, None] + radii_mm * cosine / spacing_mm[2]
        return np.stack([slices, rows, columns])


@dataclass(frozen=True, eq=False)
class InnerWall:
    """The inner surface of the wall on the working grid.

    Attributes:
        inside_mm: Distance to it along the rays, positive inside.
        sharp: 0 to 1, how far nearby rays found fat or gas behind the wall, not an organ or a rib.
    """

    inside_mm: NDArray[np.float32]
    sharp: NDArray[np.float32]


def find_inner_wall(
    hu: NDArray[np.float32],
    bone: NDArray[np.bool_],
    fascia: NDArray[np.bool_],
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> InnerWall:
    """Find the inner surface of the wall.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        bone: Bone.
        fascia: The inside of the outer fascia.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The surface, and where it parts muscle from fat or gas.
    """
    rays = cast_rays(fascia, spacing_mm, parameters)
    measured, by_rib, bare = measure_wall(hu, bone, rays, track, spacing_mm, parameters)
    thickness = smooth_wall(measured, bare, spacing_mm, parameters)
    edge = (np.isfinite(measured) & ~by_rib & (np.abs(measured - thickness) <= parameters.wall_outlier_mm)).astype(
        float
    )
    sharp = ndimage.gaussian_filter(edge, _sigmas(parameters.wall_scales[0], spacing_mm, parameters), mode=_RAY_BORDERS)
    radius_mm = _radius_mm(fascia.shape, rays, spacing_mm)
    inside_mm = _along_angles(rays.fascia_mm - thickness, rays, radius_mm.shape, spacing_mm) - radius_mm
    return InnerWall(inside_mm, _along_angles(sharp, rays, radius_mm.shape, spacing_mm))


def cast_rays(fascia: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters) -> Rays:
    """Cast rays from the middle of the fascia's inside and note where each leaves it."""
    centres = np.array([_middle(plane) for plane in fascia])
    angles = np.deg2rad(np.arange(0.0, 360.0, parameters.ray_step_degrees) + parameters.ray_step_degrees / 2)
    reach = np.hypot(fascia.shape[1] * spacing_mm[1], fascia.shape[2] * spacing_mm[2])
    steps = np.arange(0.0, reach, parameters.ray_step_mm)
    rays = Rays(centres[:, 0], centres[:, 1], angles, np.zeros((fascia.shape[0], angles.size)))
    field = signed_distance(fascia, spacing_mm)
    out = np.zeros_like(rays.fascia_mm)
    for index in range(fascia.shape[0]):
        one = Rays(centres[index : index + 1, 0], centres[index : index + 1, 1], angles, rays.fascia_mm[:1])
        points = one.points(np.broadcast_to(steps, (1, angles.size, steps.size)), spacing_mm)
        inside = ndimage.map_coordinates(field[index], points[1:, 0], order=1, cval=-1.0) > 0
        out[index] = np.where(inside.any(axis=1), steps[inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)], 0.0)
    return Rays(rays.centre_rows, rays.centre_columns, angles, out)


def measure_wall(
    hu: NDArray[np.float32],
    bone: NDArray[np.bool_],
    rays: Rays,
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Measure the wall's thickness along each ray, NaN where nothing parts it from what lies inside.

    Args:
        hu: Volume on the working grid.
        bone: Bone.
        rays: Rays through the fascia.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Thickness in mm, `(slices, angles)`; whether a rib gave it; whether the wall is but the linea alba there.
    """
    depths = np.arange(0.0, parameters.wall_maximum_mm + parameters.wall_dark_run_mm, parameters.ray_step_mm)
    points = rays.points(np.maximum(rays.fascia_mm[:, :, None] - depths, 0.0), spacing_mm)
    average = (parameters.ray_average_mm / spacing_mm[0], parameters.ray_average_degrees / parameters.ray_step_degrees)
    sampled = ndimage.map_coordinates(hu, points, order=1, mode="nearest")
    soft = ndimage.gaussian_filter(sampled, (*average, 0.0), mode=[*_RAY_BORDERS, "nearest"]) > parameters.soft_hu
    is_bone = ndimage.map_coordinates(bone.astype(np.float32), points, order=1, mode="nearest") > 0.5
    edge = _first_soft_to_dark(soft | is_bone, round(parameters.wall_dark_run_mm / parameters.ray_step_mm))
    thickness = edge * parameters.ray_step_mm
    # Gas never touches muscle: the wall of the bowel lies between.
    behind_edge = np.where(np.isfinite(edge), edge + 2.5, 0.0).astype(np.intp)
    gas = np.take_along_axis(sampled, behind_edge[:, :, None], axis=2)[:, :, 0] < parameters.gas_hu
    thickness = np.where(gas, thickness - parameters.gas_margin_mm, thickness)
    rib_end = _inner_edge(is_bone, round(parameters.rib_depth_mm / parameters.ray_step_mm)) * parameters.ray_step_mm
    rib = np.isfinite(rib_end)
    thickness = np.where(rib, rib_end + parameters.rib_inner_mm, thickness)
    thickness[thickness > parameters.wall_maximum_mm] = np.nan
    thickness[_crosses_spine(points, track, spacing_mm, parameters)] = np.nan
    bare = find_linea_alba(soft | is_bone, points[:, :, :, 0], track, spacing_mm, parameters)
    thickness[bare] = 0.0
    return np.asarray(thickness, dtype=np.float64), np.asarray(rib, dtype=np.bool_), bare


def find_linea_alba(
    soft: NDArray[np.bool_],
    surface: NDArray[np.float64],
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Find where no muscle lies under the fascia: the rays around the front midline that meet fat at once.

    Args:
        soft: Soft tissue and bone along the rays, `(slices, angles, steps)`.
        surface: Where the rays enter the fascia, `(3, slices, angles)`.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The linea alba, `(slices, angles)`, no wider than it is: dark rays beside it are noise or outliers.
    """
    last = round((parameters.linea_alba_mm + parameters.surface_tolerance_mm) / parameters.ray_step_mm)
    run = round(parameters.wall_dark_run_mm / parameters.ray_step_mm)
    fat = np.any([~soft[:, :, first : first + run].any(axis=2) for first in range(last + 1)], axis=0)
    left_mm = np.abs(surface[2] - track.columns[:, None]) * spacing_mm[2]
    front = surface[1] < track.rows[:, None]
    return np.asarray(fat & front & (left_mm <= parameters.linea_alba_half_width_mm), dtype=np.bool_)


def smooth_wall(
    measured: NDArray[np.float64], bare: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.float64]:
    """Drop outliers against the local median and fill the gaps from near to far.

    Args:
        measured: Thickness in mm, NaN where unknown, `(slices, angles)`.
        bare: Where it is no outlier, however thin.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Thickness in mm without gaps.
    """
    window = (parameters.wall_median_mm / spacing_mm[0], parameters.wall_median_degrees / parameters.ray_step_degrees)
    local = _local_median(measured, (round(window[0] / 2), round(window[1] / 2)))
    known = bare | (np.isfinite(measured) & (np.abs(measured - local) <= parameters.wall_outlier_mm))
    values = np.where(known, measured, 0.0)
    out = np.full(measured.shape, parameters.wall_default_mm)
    for scale in reversed(parameters.wall_scales):
        sigmas = _sigmas(scale, spacing_mm, parameters)
        total = ndimage.gaussian_filter(values, sigmas, mode=_RAY_BORDERS)
        weight = ndimage.gaussian_filter(known.astype(np.float64), sigmas, mode=_RAY_BORDERS)
        # Each nearer scale takes over as far as it saw measured rays.
        trust = np.clip(weight / 0.5, 0.0, 1.0)
        out = trust * total / np.maximum(weight, 1e-9) + (1.0 - trust) * out
    return np.asarray(out, dtype=np.float64)


def _middle(plane: NDArray[np.bool_]) -> tuple[float, float]:
    if not plane.any():
        return (plane.shape[0] - 1) / 2, (plane.shape[1] - 1) / 2
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return (rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2


def _first_soft_to_dark(soft: NDArray[np.bool_], run: int) -> NDArray[np.float64]:
    """Find the first step at which soft tissue ends and stays away for `run` steps; NaN where it never does."""
    starts = soft.shape[2] - run + 1
    dark = np.logical_and.reduce([~soft[:, :, step : starts + step] for step in range(run)])
    change = dark[:, :, 1:] & soft[:, :, : starts - 1]
    return np.where(change.any(axis=2), change.argmax(axis=2) + 0.5, np.nan)


def _inner_edge(is_bone: NDArray[np.bool_], deepest: int) -> NDArray[np.float64]:
    """Find the inner edge of the first bone that begins within `deepest` steps; NaN where there is none."""
    first = np.where(is_bone[:, :, : deepest + 1].any(axis=2), is_bone.argmax(axis=2), -1)
    beyond = ~is_bone & (np.arange(is_bone.shape[2]) > first[:, :, None])
    end = np.where(beyond.any(axis=2), beyond.argmax(axis=2), is_bone.shape[2])
    return np.where(first >= 0, end - 0.5, np.nan)


def _crosses_spine(
    points: NDArray[np.float64], track: SpineTrack, spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Mark rays that run through the vertebra's processes or towards its body from behind."""
    behind = (points[1] - track.rows[:, None, None]) * spacing_mm[1]
    left = np.abs(points[2] - track.columns[:, None, None]) * spacing_mm[2]
    near = (left <= parameters.iliac_lateral_mm) & (behind > -track.radii_mm[:, None, None])
    return np.asarray(near.any(axis=2), dtype=np.bool_)


def _local_median(values: NDArray[np.float64], half: tuple[int, int]) -> NDArray[np.float64]:
    padded = np.pad(np.pad(values, ((half[0],) * 2, (0, 0)), constant_values=np.nan), ((0, 0), (half[1],) * 2), "wrap")
    window = np.lib.stride_tricks.sliding_window_view(padded, (2 * half[0] + 1, 2 * half[1] + 1))
    out = np.full(values.shape, np.nan)
    for index in range(values.shape[0]):
        flat = np.sort(window[index].reshape(values.shape[1], -1), axis=1)
        count = np.isfinite(flat).sum(axis=1)
        low, high = np.maximum(count - 1, 0) // 2, count // 2
        columns = np.arange(values.shape[1])
        out[index] = np.where(
            count > 0, (flat[columns, low] + flat[columns, np.minimum(high, flat.shape[1] - 1)]) / 2, np.nan
        )
    return out


def _sigmas(scale: tuple[float, float], spacing_mm: Spacing, parameters: TrunkParameters) -> tuple[float, float]:
    return scale[0] / spacing_mm[0], scale[1] / parameters.ray_step_degrees


def _radius_mm(shape: tuple[int, ...], rays: Rays, spacing_mm: Spacing) -> NDArray[np.float32]:
    behind, left = _offsets(shape, rays, spacing_mm)
    return np.hypot(behind, left).astype(np.float32)


def _along_angles(
    values: NDArray[np.float64], rays: Rays, shape: tuple[int, ...], spacing_mm: Spacing
) -> NDArray[np.float32]:
    """Give every voxel the value of the ray that it lies on."""
    behind, left = _offsets(shape, rays, spacing_mm)
    step = rays.angles[1] - rays.angles[0]
    index = (np.mod(np.arctan2(behind, left), 2 * np.pi) - rays.angles[0]) / step
    out = [
        ndimage.map_coordinates(row, [place], order=1, mode="grid-wrap")
        for row, place in zip(values, index, strict=True)
    ]
    return np.asarray(out, dtype=np.float32)


def _offsets(
    shape: tuple[int, ...], rays: Rays, spacing_mm: Spacing
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    behind = (np.arange(shape[1])[None, :, None] - rays.centre_rows[:, None, None]) * spacing_mm[1]
    left = (np.arange(shape[2])[None, None, :] - rays.centre_columns[:, None, None]) * spacing_mm[2]
    return behind, left
