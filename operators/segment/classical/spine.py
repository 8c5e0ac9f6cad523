"""Spine: the vertebral column as a track of discs, and the zones that lie around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.errors import TrunkSegmentationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.morphology import Spacing
    from operators.segment.classical.parameters import TrunkParameters


@dataclass(frozen=True, eq=False)
class SpineTrack:
    """The inscribed disc of the vertebral body in every slice.

    Attributes:
        rows: Row of the disc's centre.
        columns: Column of the disc's centre.
        radii_mm: Radius of the disc.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    radii_mm: NDArray[np.float64]

    def posterior_mm(self, shape: tuple[int, ...], spacing_mm: Spacing) -> NDArray[np.float32]:
        """Measure how far behind the disc's centre each row lies, `(slices, rows, 1)`."""
        rows = np.arange(shape[1])[None, :, None]
        return np.asarray((rows - self.rows[:, None, None]) * spacing_mm[1], dtype=np.float32)

    def lateral_mm(self, shape: tuple[int, ...], spacing_mm: Spacing) -> NDArray[np.float32]:
        """Measure how far to the left of the disc's centre each column lies, `(slices, 1, columns)`."""
        columns = np.arange(shape[2])[None, None, :]
        return np.asarray((columns - self.columns[:, None, None]) * spacing_mm[2], dtype=np.float32)


def track_spine(
    bone: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> SpineTrack:
    """Track the vertebral bodies: the largest disc inside midline bone, median-filtered along the body.

    Args:
        bone: Bone with marrow, without the canal, on the working grid.
        body: The body.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The disc of every slice; slices without one take it from their neighbours.

    Raises:
        TrunkSegmentationError: If no slice holds a vertebral body.
    """
    found = np.array([_largest_disc(*planes, spacing_mm, parameters) for planes in zip(bone, body, strict=True)])
    valid = np.flatnonzero(found[:, 2] >= parameters.spine_minimum_radius_mm)
    if valid.size == 0:
        raise TrunkSegmentationError(
            "No spine was found: no slice holds midline bone with an inscribed radius of "
            f"{parameters.spine_minimum_radius_mm:g} mm; this engine needs a trunk with its vertebral column."
        )
    half = parameters.spine_smoothing_mm / 2 / spacing_mm[0]
    smooth = np.array([np.median(found[valid[np.abs(valid - index) <= half]], axis=0) for index in valid])
    slices = np.arange(bone.shape[0])
    rows, columns, radii = (np.interp(slices, valid, smooth[:, column]) for column in range(3))
    return SpineTrack(rows=rows, columns=columns, radii_mm=radii)


def vertebra_zone(
    track: SpineTrack, shape: tuple[int, ...], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Draw vertebral bodies with their discs (ellipses) and the canal behind them: no muscle and no visceral fat."""
    behind, left = track.posterior_mm(shape, spacing_mm), track.lateral_mm(shape, spacing_mm)
    depth = track.radii_mm[:, None, None] + parameters.vertebra_rim_mm
    width = parameters.vertebra_aspect * track.radii_mm[:, None, None] + parameters.vertebra_rim_mm
    ellipse = (behind / depth) ** 2 + (left / width) ** 2 <= 1.0
    canal = (behind > 0) & (behind <= depth + parameters.canal_depth_mm)
    return np.asarray(ellipse | (canal & (np.abs(left) <= parameters.canal_half_width_mm)), dtype=np.bool_)


def canal_zone(
    track: SpineTrack, shape: tuple[int, ...], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Draw where the canal lies behind the vertebral bodies: what is enclosed there and not bright is no marrow."""
    behind = track.posterior_mm(shape, spacing_mm) - track.radii_mm[:, None, None]
    canal = (behind > 0) & (behind <= parameters.canal_depth_mm)
    beside = np.abs(track.lateral_mm(shape, spacing_mm)) <= parameters.canal_half_width_mm
    return np.asarray(canal & beside, dtype=np.bool_)


def drop_enhanced(
    bone: NDArray[np.bool_],
    inside_mm: NDArray[np.float32],
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Drop what is as bright as bone but lies in the cavity: enhanced vessels, kidneys and bowel.

    Args:
        bone: Bone and what looks like it, on the working grid.
        inside_mm: Distance to the inner surface of the wall, positive inside.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Bone without voxels in front of the spine, and without pieces that lie in the cavity as a whole.
    """
    behind, left = track.posterior_mm(bone.shape, spacing_mm), track.lateral_mm(bone.shape, spacing_mm)
    depth = track.radii_mm[:, None, None] + parameters.osteophyte_mm
    width = parameters.vertebra_aspect * track.radii_mm[:, None, None] + parameters.osteophyte_mm
    vertebra = (behind / depth) ** 2 + (left / width) ** 2 <= 1.0
    deep = (inside_mm > parameters.bone_depth_mm) & ~vertebra
    kept = bone & ~(deep & (behind < 0))
    labels, count = ndimage.label(kept)
    anchored = np.zeros(count + 1, dtype=np.bool_)
    anchored[np.unique(labels[kept & ~deep])] = True
    anchored[0] = False
    return np.asarray(anchored[labels], dtype=np.bool_)


def _largest_disc(
    bone: NDArray[np.bool_], body: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> tuple[float, float, float]:
    columns = np.flatnonzero(body.any(axis=0))
    if columns.size == 0 or not bone.any():
        return 0.0, 0.0, 0.0
    middle = (columns[0] + columns[-1]) / 2
    reach = parameters.spine_midline_mm / spacing_mm[2]
    near = np.abs(np.arange(bone.shape[1]) - middle) <= reach
    depth = np.asarray(ndimage.distance_transform_edt(np.pad(bone, 1), sampling=spacing_mm[1:]))[1:-1, 1:-1]
    depth = depth * near[None, :]
    best = depth.max()
    # The middle of all best voxels, so that a mirrored patient gives the mirrored centre.
    rows, best_columns = np.nonzero(depth >= best - 1e-6)
    return float(rows.mean()), float(best_columns.mean()), float(best)
