"""Table slope: whether the table below the patient rises from slice to slice, as it does where a tilt is denied.

A table runs level through the gantry, along the normal of slices that are not tilted. Where slices were tilted and
their headers say that they were not, the stack is sheared, and the table with it: it rises by the tangent of the tilt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import Volume
    from operators.qc.outline import Outline

FOAM_HU = -600.0
"""Mattresses and cushions are lighter and follow the body; the shell of a table is denser and does not."""
SOFT_HU = 0.0
"""A shell counts no more than water does, so that a screw in it does not rule the profile."""
BELOW_MM = 5.0
"""Below the skin: what lies nearer is clothes, and the blur of the skin itself."""
NEAREST_MM, FARTHEST_MM = 25.0, 80.0
"""Away from the middle slice: nearer a pixel is several degrees, farther a steep table leaves the field of view."""
STEEPEST_DEG = 30.0
"""As far as gantries tilt."""
LEAST_OVERLAP_MM = 15.0
LEAST_CORRELATION = 0.9
"""Of one table in two slices."""
LEAST_SHARE = 0.1
"""Of the profile's highest value to that of water: less is a tube or a sheet."""
MOST_SLICES = 16
LEAST_SLICES = 4
LARGEST_SPREAD_DEG = 2.0
"""Half of the slices agree so far: what rises in steps is no table."""


def table_slope_deg(volume: Volume, outline: Outline) -> float | None:
    """Angle between the table and the slices' normal, degrees; positive where the table lies deeper towards the head.

    The profile of what lies below the body is shifted along the rows until it correlates best with that of the middle
    slice. The angle is the median over the slices.

    Args:
        volume: An axial CT in HU.
        outline: Where its body is.

    Returns:
        The angle; None where no table is below the body, or the slices do not agree on it.
    """
    slice_mm, row_mm, _ = outline.turn.apply_spacing(volume.spacing_mm)
    shown = np.flatnonzero(outline.body.any(axis=(1, 2)))
    if shown.size == 0:
        return None
    middle = int(shown[shown.size // 2])
    away_mm = (outline.indices - outline.indices[middle]) * slice_mm
    places = shown[(np.abs(away_mm[shown]) >= NEAREST_MM) & (np.abs(away_mm[shown]) <= FARTHEST_MM)]
    own = _profile(volume, outline, middle)
    slopes = []
    for place in places[:: -(-max(1, places.size) // MOST_SLICES)]:
        shift_mm = _shift_mm(own, _profile(volume, outline, int(place)), row_mm, abs(away_mm[place]))
        if shift_mm is not None:
            slopes.append(math.degrees(math.atan(shift_mm / away_mm[place])))
    if len(slopes) < LEAST_SLICES or np.subtract(*np.percentile(slopes, (75, 25))) > LARGEST_SPREAD_DEG:
        return None
    return float(np.median(slopes))


def _profile(volume: Volume, outline: Outline, place: int) -> NDArray[np.float64]:
    """How dense the middle half of the body's width is in each row below the body, 0 foam to 1 water; NaN above."""
    row_mm = outline.spacing_mm[1] / outline.steps[0]
    columns = np.flatnonzero(outline.body.any(axis=(0, 1)))
    first, last = np.percentile(columns, (25, 75)).astype(int)
    rows = np.flatnonzero(outline.body[place][:, first : last + 1].any(axis=1))
    start = (rows[-1] + 1 if rows.size else outline.body.shape[1]) * outline.steps[0] + math.ceil(BELOW_MM / row_mm)
    plane = outline.turn.apply(volume.array)[outline.indices[place]]
    dense = np.clip(plane[:, first * outline.steps[1] : (last + 1) * outline.steps[1]], FOAM_HU, SOFT_HU) - FOAM_HU
    profile = np.asarray(dense.mean(axis=1, dtype=np.float64) / (SOFT_HU - FOAM_HU))
    profile[:start] = np.nan
    return profile


def _shift_mm(own: NDArray[np.float64], other: NDArray[np.float64], row_mm: float, away_mm: float) -> float | None:
    """How much deeper a profile lies than another one, mm; None where no shift makes them alike."""
    reach = math.ceil(math.tan(math.radians(STEEPEST_DEG)) * away_mm / row_mm)
    found = {
        shift: _correlation(own, other, shift, round(LEAST_OVERLAP_MM / row_mm)) for shift in range(-reach, reach + 1)
    }
    best = max(found, key=lambda shift: found[shift])
    return best * row_mm if found[best] >= LEAST_CORRELATION else None


def _correlation(own: NDArray[np.float64], other: NDArray[np.float64], shift: int, least: int) -> float:
    """Pearson's coefficient of both profiles where both are known; 0 where they overlap too little or show no table."""
    rows = np.arange(max(0, -shift), min(own.size, other.size - shift))
    both = np.isfinite(own[rows]) & np.isfinite(other[rows + shift])
    first, second = own[rows][both], other[rows + shift][both]
    if first.size < max(2, least) or min(first.max(), second.max()) < LEAST_SHARE:
        return 0.0
    first, second = first - first.mean(), second - second.mean()
    scale = math.sqrt(float(first @ first) * float(second @ second))
    return float(first @ second) / scale if scale else 0.0
