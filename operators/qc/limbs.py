"""Limbs: arms that touch the trunk, and so count as part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.qc.outline import FAR_MM, IN_SLICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.qc.outline import Outline

TRUNK_MM = 60.0
"""A disc of this radius fits everywhere into a trunk with round flanks, and into no arm: upper arms of the obese are
110 mm wide."""
TRUNK_SHARE = 0.7
"""Of the greatest depth below the surface, in people so slender that their flanks are narrower; so are their arms."""
LIMB_MM = 14.0
"""Half the width of what is left of a forearm (45 mm) where a disc in the trunk reaches into it; corners of a trunk are
flatter."""
BONE_HU = 200.0
"""Cortex in samples of whole slices; soft tissue and marrow are darker."""


def limb_bone_ml(outline: Outline, depth_mm: NDArray[np.float32]) -> float | None:
    """Volume of bone, mL, in parts of the body that are too narrow for a trunk and wider than its corners.

    Breasts and folds hold no bone, ribs and hips lie in a trunk.

    Args:
        outline: The body on coarse slices.
        depth_mm: Depth of each sample below its surface.

    Returns:
        The volume; None without a body.
    """
    if not outline.body.any():
        return None
    radius_mm = min(TRUNK_MM, TRUNK_SHARE * float(depth_mm.max()))
    core = depth_mm > radius_mm
    sampling = (FAR_MM, *outline.spacing_mm[1:])
    narrow = outline.body & (ndimage.distance_transform_edt(~core, sampling=sampling) > radius_mm)
    pieces, count = ndimage.label(narrow, np.stack([0 * IN_SLICE[0], IN_SLICE[0], 0 * IN_SLICE[0]]))
    if count == 0:
        return 0.0
    half_width_mm = ndimage.distance_transform_edt(narrow, sampling=sampling)
    wide = np.asarray(ndimage.maximum(half_width_mm, pieces, np.arange(count + 1))) >= LIMB_MM
    wide[0] = False
    bone = wide[pieces] & (outline.hu > BONE_HU)
    return int(np.count_nonzero(bone)) * float(np.prod(outline.spacing_mm)) / 1000.0
