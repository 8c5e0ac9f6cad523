"""Pelvis: the iliac crest, below which the trunk method does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.morphology import Spacing
    from operators.segment.classical.parameters import TrunkParameters


def find_iliac_crest(
    hu: NDArray[np.float32],
    bone: NDArray[np.bool_],
    middle_columns: NDArray[np.float64],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> int | None:
    """Find the highest slice with iliac bone.

    A wing is bone beside the spine, with a cortex, and with bone below it down to the end of the field. Its section is
    larger than any rib's; or, where only its top is in the field, it leaves the field downwards and ends soon upwards
    and far from the spine, which no rib does. Enhanced kidneys have no cortex and do not reach the end of the field.

    Args:
        hu: Volume on the working grid, slices increase towards the head.
        bone: Bone with marrow.
        middle_columns: Midline column of every slice.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The slice, None if the field ends above the pelvis.
    """
    large, low = [], []
    left_mm = (np.arange(bone.shape[2])[None, None, :] - middle_columns[:, None, None]) * spacing_mm[2]
    for lateral_mm in (left_mm, -left_mm):
        side = bone & (lateral_mm > parameters.iliac_lateral_mm)
        reach = _reach_from_below(side, spacing_mm, parameters)
        large.append(_top_of_wing(hu[:reach], side[:reach], side, spacing_mm, parameters))
        low.append(_top_of_low_wing(hu, side, lateral_mm, spacing_mm, parameters))
    # A large wing on one side is enough (a tilted pelvis); small ones must agree.
    certain = any(top is not None for top in large) or all(top is not None for top in low)
    return max(top for top in (*large, *low) if top is not None) if certain else None


def _reach_from_below(side: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters) -> int:
    """Count the slices from the lowest one on that all hold bone on this side."""
    areas_cm2 = side.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2] / 100.0
    empty = np.flatnonzero(areas_cm2 < parameters.iliac_tip_cm2)
    return int(empty[0]) if empty.size else side.shape[0]


def _top_of_wing(
    hu: NDArray[np.float32],
    reached: NDArray[np.bool_],
    side: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> int | None:
    """Follow the highest section that is too large for a rib up to the top of its bone."""
    for index in range(reached.shape[0] - 1, -1, -1):
        section = _wing_section(hu[index], reached[index], parameters.iliac_section_cm2, spacing_mm, parameters)
        if section is not None:
            return _follow_up(side, index, section, spacing_mm, parameters)[0]
    return None


def _top_of_low_wing(
    hu: NDArray[np.float32],
    side: NDArray[np.bool_],
    lateral_mm: NDArray[np.float64],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> int | None:
    """Find a wing of which only the top is in the field.

    Upwards a rib goes to its joint at the spine: the last of it that is lateral lies at the limit. A crest ends where
    it is highest, far out.
    """
    section = _wing_section(hu[0], side[0], parameters.iliac_other_side_cm2, spacing_mm, parameters)
    if section is None:
        return None
    top, last = _follow_up(side, 0, section, spacing_mm, parameters)
    ends_in_field = top < side.shape[0] - 1
    # A voxel more: what is left of a rib in the next slice may be too small to be followed.
    to_spine = bool((last & (lateral_mm[top] <= parameters.iliac_lateral_mm + 2 * spacing_mm[2])).any())
    low = (top + 1) * spacing_mm[0] <= parameters.iliac_low_rise_mm
    return top if ends_in_field and low and not to_spine else None


def _wing_section(
    hu: NDArray[np.float32],
    side: NDArray[np.bool_],
    least_cm2: float,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_] | None:
    """Find the largest bony section of one slice."""
    labels, count = ndimage.label(side)
    sizes_cm2 = np.bincount(labels.ravel(), minlength=count + 1) * spacing_mm[1] * spacing_mm[2] / 100.0
    sizes_cm2[0] = 0.0
    for label in np.argsort(-sizes_cm2):
        if sizes_cm2[label] < least_cm2:
            return None
        section = np.asarray(labels == label, dtype=np.bool_)
        if _is_bony(hu, section, parameters):
            return section
    return None


def _is_bony(hu: NDArray[np.float32], section: NDArray[np.bool_], parameters: TrunkParameters) -> bool:
    """Tell bone, which has a cortex and marrow, from enhanced parenchyma (no cortex) and bowel contrast (uniform)."""
    cortex_hu = float(np.percentile(hu[section], 90))
    core = hu[ndimage.binary_erosion(section)]
    uniform = core.size > 0 and float(np.percentile(core, 25)) > (1.0 - parameters.iliac_texture) * cortex_hu
    return cortex_hu >= parameters.iliac_cortex_hu and not uniform


def _follow_up(
    side: NDArray[np.bool_],
    index: int,
    section: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> tuple[int, NDArray[np.bool_]]:
    """Follow a section upwards through all that touches it from slice to slice, to the last one and what is there."""
    least = max(1.0, parameters.iliac_tip_cm2 * 100.0 / (spacing_mm[1] * spacing_mm[2]))
    while index + 1 < side.shape[0]:
        labels, _ = ndimage.label(side[index + 1])
        touched = np.unique(labels[section & (labels > 0)])
        upper = np.asarray(np.isin(labels, touched) & (labels > 0), dtype=np.bool_)
        if upper.sum() < least:
            break
        section, index = upper, index + 1
    return index, section
