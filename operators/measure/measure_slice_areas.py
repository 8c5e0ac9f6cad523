"""MeasureSliceAreas: the cross-section of every segment in every slice."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.core.label_extents import extents_of
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.measurements import SliceAreas, rounded
from operators.core.volume import Volume
from operators.runtime.step import Step


class MeasureSliceAreas(Step):
    """Measure the area of every segment in every slice: area_cm2 = pixels x row spacing x column spacing / 100.

    Named Input:
        volume: Volume.
        label_map: LabelMap on its grid.

    Named Output:
        slice_areas: tuple of SliceAreas, in the order of the volume's slices.

    Raises GeometryError where the label map does not lie on the volume's grid.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "slice_areas"

    def process(self, volume: Volume, label_map: LabelMap) -> tuple[SliceAreas, ...]:
        """Measure."""
        return measure_slice_areas(volume, label_map)


def measure_slice_areas(volume: Volume, label_map: LabelMap) -> tuple[SliceAreas, ...]:
    """Area in cm2 of each segment in each slice, with the slice's position along the normal in mm.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid.
    """
    require_same_grid(volume, label_map)
    counts = extents_of(label_map).counts
    _, row_mm, column_mm = volume.spacing_mm
    pixel_cm2 = row_mm * column_mm / 100
    areas = {s.name: counts[:, list(s.labels)].sum(axis=1) * pixel_cm2 for s in label_map.segments}
    normal = volume.affine_lps[:3, 0] / np.linalg.norm(volume.affine_lps[:3, 0])
    return tuple(
        SliceAreas(
            index,
            str(source.header.SOPInstanceUID),
            round(float(np.asarray(volume.position_lps(index)) @ normal), 4),
            {name: rounded(values[index]) for name, values in areas.items()},
        )
        for index, source in enumerate(volume.slices)
    )
