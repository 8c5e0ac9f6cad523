"""Fascia: the outer surface of the muscular wall, which parts subcutaneous fat from everything deeper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.morphology import (
    Spacing,
    close_ball,
    close_disc,
    erode,
    fill_slices,
    largest_component,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.parameters import TrunkParameters
    from operators.segment.classical.spine import SpineTrack


def find_fascia(
    hu: NDArray[np.float32],
    body: NDArray[np.bool_],
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Find what lies inside the outer fascia.

    The largest soft component below the skin is closed over the gaps between muscles; in front of the spine wider, with
    gas inside it counted, so that the surface does not sink into the linea alba or the umbilicus.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        body: The body.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The inside of the fascia.
    """
    below_skin = np.stack([erode(plane[None], parameters.fascia_under_skin_mm, spacing_mm)[0] for plane in body])
    soft = largest_component(below_skin & (hu > parameters.soft_hu))
    closed = close_ball(soft, parameters.fascia_closing_mm, spacing_mm) & below_skin
    inside = fill_slices(closed) & ~_furrow(hu, soft, track, spacing_mm, parameters)
    front = track.posterior_mm(body.shape, spacing_mm) < 0
    gas = below_skin & (hu < parameters.air_hu)
    wide = close_disc((inside | gas) & front, parameters.fascia_front_closing_mm, spacing_mm) & below_skin & front
    return fill_slices(inside | wide)


def _furrow(
    hu: NDArray[np.float32],
    soft: NDArray[np.bool_],
    track: SpineTrack,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Mark the furrow of the back: behind the tips of the spinous processes, with nothing soft behind it.

    Not beside the processes: where a fascia is thinner than a voxel, fat of wasted muscles there looks the same.
    """
    behind_mm = track.posterior_mm(soft.shape, spacing_mm)
    near = np.abs(track.lateral_mm(soft.shape, spacing_mm)) <= parameters.furrow_half_width_mm
    process = soft & near & (hu > parameters.bone_hu) & (behind_mm > track.radii_mm[:, None, None])
    tips_mm = np.where(process, behind_mm, -np.inf).max(axis=(1, 2))
    tips_mm = ndimage.maximum_filter1d(tips_mm, 2 * round(parameters.vertebra_height_mm / 2 / spacing_mm[0]) + 1)
    behind_tips = np.isfinite(tips_mm)[:, None, None] & (behind_mm > tips_mm[:, None, None])
    covered = np.logical_or.accumulate(soft[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(behind_tips & near & ~covered, dtype=np.bool_)
