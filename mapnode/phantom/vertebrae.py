"""Vertebrae: which voxel of the trunk phantom belongs to which vertebra, as a segmentation of vertebrae says it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapnode.phantom.anatomy import PhantomTissue, vertebra_numbers
from mapnode.phantom.shapes import Plane
from mapnode.phantom.trunk import Phantom

NAMES = (
    "vertebrae_T11",
    "vertebrae_T12",
    "vertebrae_L1",
    "vertebrae_L2",
    "vertebrae_L3",
    "vertebrae_L4",
    "vertebrae_L5",
)
"""Of the phantom's vertebrae from head to feet, as TotalSegmentator calls them; L3 is the one at z = 0 mm."""
CENTRES_MM = dict(zip(NAMES, (140.0, 105.0, 70.0, 35.0, 0.0, -35.0, -70.0), strict=True))
"""Height of the middle of each vertebral body, LPS z."""
_SPINE_HALF_WIDTH_MM = 42.0
"""Transverse processes reach this far; the ribs begin farther out at the same depth, or lie farther forward."""


def vertebra_masks(phantom: Phantom) -> dict[str, NDArray[np.bool_]]:
    """The bone of each vertebra that the stack shows.

    Args:
        phantom: The sampled body.

    Returns:
        Masks `(slices, rows, columns)` by name.
    """
    z, y, x = (
        phantom.affine_lps[lps, 3] + phantom.affine_lps[lps, axis] * np.arange(phantom.hu.shape[axis])
        for axis, lps in enumerate((2, 1, 0))
    )
    spine = (phantom.truth_labels == PhantomTissue.BONE) & (np.abs(x) < _SPINE_HALF_WIDTH_MM)
    numbers = np.stack([vertebra_numbers(Plane(x, y, float(height))) for height in z])[:, :, None]
    masks = {name: spine & (numbers == NAMES.index("vertebrae_L3") - place) for place, name in enumerate(NAMES)}
    return {name: mask for name, mask in masks.items() if mask.any()}
