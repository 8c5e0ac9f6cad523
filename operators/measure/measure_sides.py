"""MeasureSides: volumes left and right of the midline."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core import codes
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.measurements import DerivedValue, NotComputed, Quantity, SliceAreas, rounded
from operators.core.volume import Volume
from operators.measure.measure_slice_areas import SliceAreasParameters
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment

SIDES = {"left": codes.LEFT, "right": codes.RIGHT}


class MeasureSides(Step):
    """Measure the volume of segments on either side of the midline, from their areas slice by slice.

    volume_ml = sum of the areas on that side in cm2 x distance of the slices' positions in mm / 10. The midline of a
    slice is that of `MeasureSliceAreas`: the sagittal line with half of the bone within 45 mm on either side.
    Left and right add up to the segment's volume. No segments of their own are made: a viewer would show, and sum up,
    every voxel twice (docs/decisions/0025).

    Named Input:
        volume: Volume.
        label_map: LabelMap on its grid.
        slice_areas: tuple of SliceAreas with the sides of some segments.

    Named Output:
        sides: tuple of DerivedValue, left and right of each of these segments.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "slice_areas")
    output: ClassVar[str] = "sides"

    def process(
        self, volume: Volume, label_map: LabelMap, slice_areas: tuple[SliceAreas, ...]
    ) -> tuple[DerivedValue, ...]:
        """Measure."""
        parameters: SliceAreasParameters = self.parameters or SliceAreasParameters()
        return measure_sides(volume, label_map, slice_areas, parameters)


def measure_sides(
    volume: Volume, label_map: LabelMap, slice_areas: Sequence[SliceAreas], parameters: SliceAreasParameters
) -> tuple[DerivedValue, ...]:
    """Volume in mL on each side, of those of the segments that the label map knows.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid.
    """
    require_same_grid(volume, label_map)
    return tuple(
        _volume_of(segment, side, code, slice_areas, volume.spacing_mm[0])
        for segment in parameters.known(label_map)
        for side, code in SIDES.items()
    )


def _volume_of(
    segment: Segment, side: str, code: Code, slice_areas: Sequence[SliceAreas], slice_mm: float
) -> DerivedValue:
    """One side of one segment; not computed where a slice has the segment and no midline."""
    parts = [(areas.left_cm2 if side == "left" else areas.right_cm2).get(segment.name) for areas in slice_areas]
    total = sum(areas.area_cm2[segment.name] for areas in slice_areas)
    lost = any(part is None and areas.area_cm2[segment.name] for part, areas in zip(parts, slice_areas, strict=True))
    reason = f"{segment.label} was not found" if not total else "no bone shows where the midline runs" if lost else ""
    return DerivedValue(
        quantity=Quantity(f"{segment.name}_{side}_ml", "mL", codes.VOLUME, codes.CUBIC_CENTIMETRE),
        label=f"{segment.label}, {side} of the midline (volume)",
        definition=(
            f"sum of the areas of {segment.label} {side} of the midline (half of the bone around a slice lies on each "
            "side) x distance of the slices"
        ),
        segment_names=(segment.name,),
        value=None if reason else rounded(sum(part or 0.0 for part in parts) * slice_mm / 10),
        reason=reason,
        reason_code=NotComputed.NOT_FOUND if reason else None,
        side=code,
    )
