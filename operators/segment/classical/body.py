"""Body: the patient without table and clothes, and the skin."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.errors import TrunkSegmentationError
from operators.segment.classical.morphology import (
    Spacing,
    dilate,
    disc_footprint,
    fill_holes,
    fill_slices,
    largest_component,
    open_slices,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.parameters import TrunkParameters


def find_body(hu: NDArray[np.float32], spacing_mm: Spacing, parameters: TrunkParameters) -> NDArray[np.bool_]:
    """Find the trunk: tissue that survives an opening, its largest component, filled slice by slice.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The body with its gas.

    Raises:
        TrunkSegmentationError: If no piece of tissue is as large as a trunk.
    """
    # The table goes before holes are filled, or the air between table and back would count as body.
    is_tissue = np.stack([find_tissue(plane, *spacing_mm[1:], parameters) for plane in hu])
    tissue = open_slices(is_tissue, parameters.table_opening_mm, spacing_mm)
    tissue = fill_slices(largest_component(tissue))
    core = largest_component(open_slices(tissue, parameters.body_opening_mm, spacing_mm))
    volume_ml = float(core.sum()) * float(np.prod(spacing_mm)) / 1000.0
    least_ml = min(parameters.body_minimum_ml, parameters.body_minimum_ml * core.shape[0] * spacing_mm[0] / 100.0)
    if volume_ml < least_ml:
        raise TrunkSegmentationError(
            f"No body was found: the largest piece of tissue above {parameters.air_hu:g} HU has {volume_ml:.0f} ml, "
            f"a trunk of this length has more than {least_ml:.0f} ml; check that the volume is a CT in HU."
        )
    recovered = np.stack([dilate(plane[None], parameters.body_recovery_mm, spacing_mm)[0] for plane in core])
    return fill_slices(recovered & tissue)


def find_tissue(
    hu: NDArray[np.floating] | NDArray[np.integer], row_mm: float, column_mm: float, parameters: TrunkParameters
) -> NDArray[np.bool_]:
    """Find what of one slice is more tissue than what lies beside it: air, or the cushion that the patient lies on.

    A voxel at the surface is half filled where it is half way between what lies outside and water, `outside / 2` HU;
    but whatever is brighter than the darkest fat is tissue.

    Args:
        hu: The slice `(rows, columns)`.
        row_mm: Distance between rows.
        column_mm: Distance between columns.
        parameters: Constants of the engine.

    Returns:
        Tissue `(rows, columns)`.
    """
    outside = hu.copy()
    for along, beside, step_mm in ((outside, hu, row_mm), (outside.T, hu.T, column_mm)):
        # Several times as fast as scipy's filter.
        for step in range(1, math.ceil(parameters.edge_mm / step_mm - 1e-6) + 1):
            np.minimum(along[step:], beside[:-step], out=along[step:])
            np.minimum(along[:-step], beside[step:], out=along[:-step])
    level = np.clip(outside, 2 * parameters.air_hu, 2 * parameters.sat_low_hu) / 2
    return np.asarray(hu > level, dtype=np.bool_)


def refine_body(tissue: NDArray[np.bool_], depth_mm: NDArray[np.float32], margin_mm: float) -> NDArray[np.bool_]:
    """Find the body of one slice at full resolution: what lies deep is body, the surface is where tissue begins.

    Holes below the surface are noise in fat.
    """
    return fill_holes((depth_mm > margin_mm) | ((depth_mm > -margin_mm) & tissue))


def find_skin(body: NDArray[np.bool_], row_mm: float, column_mm: float, skin_mm: float) -> NDArray[np.bool_]:
    """Find the skin of one slice: voxels whose centre is less than `skin_mm` deep, at least the outermost one.

    Where the body leaves the field of view there is no skin.
    """
    step = max(row_mm, column_mm)
    footprint = disc_footprint(max(skin_mm + step / 2, 1.001 * step), row_mm, column_mm)
    return body & ~np.asarray(ndimage.binary_erosion(body, footprint, border_value=1), dtype=np.bool_)
