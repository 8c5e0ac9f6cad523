"""Fat: what in the cavity only looks like fat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.segment.classical.morphology import Spacing, close_ball, erode

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.parameters import TrunkParameters


def bowel_content(
    hu: NDArray[np.float32],
    cavity: NDArray[np.bool_],
    lungs: NDArray[np.bool_],
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.bool_]:
    """Find gas in the cavity with the stool between its bubbles, and the lungs: partial volume at both looks like fat.

    Args:
        hu: Volume on the working grid, `(slices, rows, columns)`.
        cavity: The inside of the wall.
        lungs: The lungs.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        Gas, stool and lungs, without a margin.
    """
    gas = cavity & (hu < parameters.air_hu) & ~lungs
    bubbles = cavity & (hu < parameters.gas_hu) & ~lungs
    stool = close_ball(bubbles, parameters.gas_closing_mm, spacing_mm)
    return gas | erode(stool, parameters.gas_margin_mm, spacing_mm) | lungs
