"""MeasureSliceAreas: the cross-section of every segment in every slice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core.label_extents import extents_of
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.measurements import SliceAreas, rounded
from operators.core.volume import Volume
from operators.measure.midline import left_of, midlines, pixels_by_column
from operators.runtime.step import Step

if TYPE_CHECKING:
    from operators.core.label_map import Segment
    from operators.core.volume import Spacing


@dataclass(frozen=True)
class SliceAreasParameters:
    """Whose sides are measured.

    Attributes:
        sides_of: Names of the segments whose areas left and right of the midline are measured as well.
        midline_of: Name of the segment that the midline is found by.
    """

    sides_of: tuple[str, ...] = ()
    midline_of: str = "bone"

    def known(self, label_map: LabelMap) -> list[Segment]:
        """The segments whose sides are measured, as far as a label map knows them: a model may know fewer."""
        return [segment for name in self.sides_of for segment in label_map.segments if segment.name == name]


class MeasureSliceAreas(Step):
    """Measure the area of every segment in every slice: area_cm2 = pixels x row spacing x column spacing / 100.

    Left and right of some segments: the midline of a slice is the line of constant LPS x that has half of the bone
    within 45 mm around the slice on either side. The spine has most of it, so that an arm in the field moves the line
    little. Pixels that it runs through are parted; left and right add up to the area. A patient who lies turned is
    parted by that line and not by a plane of the body. Without bone there are no sides.

    Named Input:
        volume: Volume.
        label_map: LabelMap on its grid.

    Named Output:
        slice_areas: tuple of SliceAreas, in the order of the volume's slices.

    Raises GeometryError where the label map does not lie on the volume's grid, or sides are wanted of slices that are
    not axial.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "slice_areas"

    def process(self, volume: Volume, label_map: LabelMap) -> tuple[SliceAreas, ...]:
        """Measure."""
        parameters: SliceAreasParameters = self.parameters or SliceAreasParameters()
        return measure_slice_areas(volume, label_map, parameters)


def measure_slice_areas(
    volume: Volume,
    label_map: LabelMap,
    parameters: SliceAreasParameters = SliceAreasParameters(),
) -> tuple[SliceAreas, ...]:
    """Area in cm2 of each segment in each slice, with the slice's position along the normal in mm.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid, or sides are wanted and slices not axial.
    """
    require_same_grid(volume, label_map)
    counts = extents_of(label_map).counts
    _, row_mm, column_mm = volume.spacing_mm
    pixel_cm2 = row_mm * column_mm / 100
    left = _left_cm2(label_map, volume.spacing_mm, parameters)
    areas = {s.name: counts[:, list(s.labels)].sum(axis=1) * pixel_cm2 for s in label_map.segments}
    normal = volume.affine_lps[:3, 0] / np.linalg.norm(volume.affine_lps[:3, 0])
    return tuple(
        SliceAreas(
            index,
            str(source.header.SOPInstanceUID),
            round(float(np.asarray(volume.position_lps(index)) @ normal), 4),
            {name: rounded(values[index]) for name, values in areas.items()},
            {name: rounded(value) for name, value in left[index].items()},
            {name: rounded(areas[name][index] - value) for name, value in left[index].items()},
        )
        for index, source in enumerate(volume.slices)
    )


def _left_cm2(label_map: LabelMap, spacing_mm: Spacing, parameters: SliceAreasParameters) -> list[dict[str, float]]:
    """Area left of the midline by segment, for each slice; nothing where there is no midline."""
    sided = parameters.known(label_map)
    bones = [segment for segment in label_map.segments if segment.name == parameters.midline_of]
    if not sided or not bones:
        return [{} for _ in label_map.array]
    bone, *others = pixels_by_column(label_map, [*bones, *sided])
    slice_mm, row_mm, column_mm = spacing_mm
    pixel_cm2 = row_mm * column_mm / 100
    return [
        {}
        if np.isnan(midline)
        else {
            each.name: left_of(counts[index], midline) * pixel_cm2 for each, counts in zip(sided, others, strict=True)
        }
        for index, midline in enumerate(midlines(bone, slice_mm))
    ]
