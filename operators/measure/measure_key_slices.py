"""MeasureKeySlices: area and attenuation of every segment in the slices that are worth looking at."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core import codes
from operators.core.found_segments import found_segments, plane_of
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.measurements import KeySlice, Measurement, Quantity, SliceAreas, rounded
from operators.core.volume import Volume
from operators.measure.measure_segments import MEAN_HU
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.core.label_map import Segment

AREA = Quantity("area_cm2", "cm2", codes.AREA, codes.SQUARE_CENTIMETRE)


class MeasureKeySlices(Step):
    """Measure each segment in the slice of its largest area and in the slices of the landmarks.

    - area_cm2 = pixels x row spacing x column spacing / 100, as in the slice table;
    - mean_hu = mean of the segment's pixels in that slice.

    Of several slices with the same largest area it is the first. A segment without a pixel in a slice has no row.

    Named Input:
        volume: Volume in HU.
        label_map: LabelMap on its grid, with its landmarks.
        slice_areas: tuple of SliceAreas of that label map.

    Named Output:
        key_slices: tuple of KeySlice, by segment; the largest area first, then the landmarks in their order.

    Raises GeometryError where the label map does not lie on the volume's grid.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "slice_areas")
    output: ClassVar[str] = "key_slices"

    def process(self, volume: Volume, label_map: LabelMap, slice_areas: tuple[SliceAreas, ...]) -> tuple[KeySlice, ...]:
        """Measure."""
        return measure_key_slices(volume, label_map, slice_areas)


def measure_key_slices(volume: Volume, label_map: LabelMap, slice_areas: Sequence[SliceAreas]) -> tuple[KeySlice, ...]:
    """Area in cm2 and mean HU of each segment in its key slices.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid.
    """
    require_same_grid(volume, label_map)
    return tuple(
        KeySlice(
            found.segment.name,
            role,
            index,
            slice_areas[index].sop_instance_uid,
            _values(volume, label_map, found.segment, slice_areas[index]),
        )
        for found in found_segments(label_map)
        for role, index in found.key_slices(label_map.landmarks)
    )


def _values(volume: Volume, label_map: LabelMap, segment: Segment, areas: SliceAreas) -> tuple[Measurement, ...]:
    """Area, and the mean of the pixels that are no padding, where there are any."""
    area = Measurement(AREA, areas.area_cm2[segment.name])
    inside = plane_of(label_map, segment, areas.index)
    if volume.padding is not None:
        inside = inside & ~volume.padding[areas.index]
    if not inside.any():
        return (area,)
    return area, Measurement(MEAN_HU, rounded(float(volume.array[areas.index][inside].mean(dtype=np.float64))))
