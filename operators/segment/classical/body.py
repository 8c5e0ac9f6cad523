"""Body: the patient without table and clothes, and the skin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.segment.classical.errors import TrunkSegmentationError
from operators.segment.classical.morphology import (
    Spacing,
    dilate,
    disc_footprint,
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
    tissue = open_slices(hu > parameters.air_hu, parameters.table_opening_mm, spacing_mm)
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


def refine_body(
    hu: NDArray[np.floating] | NDArray[np.integer], depth_mm: NDArray[np.float32], margin_mm: float, air_hu: float
) -> NDArray[np.bool_]:
    """Find the body of one slice at full resolution: what lies deep is body, the surface is where tissue begins."""
    return np.asarray((depth_mm > margin_mm) | ((depth_mm > -margin_mm) & (hu > air_hu)), dtype=np.bool_)


def find_skin(body: NDArray[np.bool_], row_mm: float, column_mm: float, skin_mm: float) -> NDArray[np.bool_]:
    """Find the skin of one slice: voxels whose centre is less than `skin_mm` deep, at least the outermost one.

    Where the body leaves the field of view there is no skin.
    """
    step = max(row_mm, column_mm)
    footprint = disc_footprint(max(skin_mm + step / 2, 1.001 * step), row_mm, column_mm)
    return body & ~np.asarray(ndimage.binary_erosion(body, footprint, border_value=1), dtype=np.bool_)
