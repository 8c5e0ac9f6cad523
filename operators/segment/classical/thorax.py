"""Thorax: the lungs, and the slice from which most of the inside is lung."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.morphology import Spacing
    from operators.segment.classical.parameters import TrunkParameters


def find_lungs(
    hu: NDArray[np.float32], body: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Find the lungs: large aerated components that hold tissue, not pure gas as bowel does.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        body: The body.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The lungs, empty where there are none.
    """
    labels, count = ndimage.label(body & (hu < parameters.air_hu))
    keep = np.zeros(count + 1, dtype=np.bool_)
    voxel_ml = float(np.prod(spacing_mm)) / 1000.0
    sizes_ml = np.bincount(labels.ravel(), minlength=count + 1) * voxel_ml
    for index in np.flatnonzero(sizes_ml >= parameters.lung_minimum_ml):
        keep[index] = index > 0 and float(np.median(hu[labels == index])) > parameters.lung_median_low_hu
    return np.asarray(keep[labels], dtype=np.bool_)


def find_thorax_slice(lungs: NDArray[np.bool_], inside: NDArray[np.bool_], fraction: float) -> int | None:
    """Find the lowest slice from which on, towards the head, lung fills at least `fraction` of the inside."""
    areas = inside.sum(axis=(1, 2))
    share = (lungs & inside).sum(axis=(1, 2)) / np.maximum(areas, 1)
    above = np.flatnonzero(share >= fraction)
    return int(above[0]) if above.size else None
