"""MeasureInput: measure on a volume all that its numbers depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from operators.core.quality_limits import InputQuantity
from operators.core.volume import Volume
from operators.qc import header_quantities, pixel_quantities
from operators.qc.limbs import limb_bone_ml
from operators.qc.outline import find_outline
from operators.runtime.step import Step

if TYPE_CHECKING:
    from operators.qc.outline import Outline

Quantities = Mapping[InputQuantity, float | None]
"""One value for each InputQuantity; None where the scan does not show it."""


class MeasureInput(Step):
    """Measure scale, noise, sharpness, size and sides of a scan, and what its headers say of its slices.

    Named Input:
        volume: Volume, an axial CT in HU.

    Named Output:
        input_quantities: Quantities, which checks hold against limits and against other scans.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "input_quantities"

    def process(self, volume: Volume) -> Quantities:
        """Measure."""
        return measure_input(volume)


def measure_input(volume: Volume) -> Quantities:
    """Everything that is known of a volume; None where the scan does not show it.

    Args:
        volume: An axial CT in HU, `(slices, rows, columns)` in whatever orientation it was stored.

    Returns:
        One value for each InputQuantity.
    """
    outline = find_outline(volume)
    return {
        InputQuantity.SLICE_THICKNESS_MM: header_quantities.slice_thickness_mm(volume),
        InputQuantity.SLICE_STEP: header_quantities.slice_step(volume),
        InputQuantity.UNSEEN_INSTANCES: header_quantities.unseen_instances(volume),
        InputQuantity.PATIENT_AGE_YEARS: header_quantities.patient_age_years(volume),
        InputQuantity.TOP_HU: pixel_quantities.top_hu(volume),
        InputQuantity.METAL_ML: pixel_quantities.metal_ml(volume),
        InputQuantity.AIR_HU: pixel_quantities.air_hu(outline),
        **_of_body(volume, outline),
    }


def _of_body(volume: Volume, outline: Outline) -> Quantities:
    depth_mm = outline.depth_mm
    size = pixel_quantities.body_size_mm(outline)
    muscle = pixel_quantities.muscle_hu(outline, depth_mm)
    return {
        InputQuantity.FAT_HU: pixel_quantities.fat_hu(outline, depth_mm, muscle),
        InputQuantity.MUSCLE_HU: muscle,
        InputQuantity.NOISE_HU: pixel_quantities.noise_hu(volume, outline, depth_mm),
        InputQuantity.EDGE_MM: pixel_quantities.edge_mm(volume, outline),
        InputQuantity.BODY_DIAMETER_MM: None if size is None else math.sqrt(size[0] * size[1]),
        InputQuantity.BODY_ASPECT: None if size is None else size[1] / size[0],
        InputQuantity.LIMB_BONE_ML: limb_bone_ml(outline, depth_mm),
        InputQuantity.LIVER_RATIO: pixel_quantities.liver_ratio(outline),
    }
