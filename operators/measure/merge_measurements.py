"""MergeMeasurements: the numbers of all measuring operators, segment by segment."""

from __future__ import annotations

from typing import ClassVar

from operators.core.measurements import SegmentMeasurements
from operators.measure.measure_diameters import Diameters
from operators.runtime.step import Step


class MergeMeasurements(Step):
    """Put together what was measured of each segment, in the order in which it is read.

    Named Input:
        shapes, intensities, uptake: tuple of SegmentMeasurements, one a segment, in the same order.
        diameters: tuple of Diameters in that order.

    Named Output:
        measurements: tuple of SegmentMeasurements with the numbers of all.
    """

    inputs: ClassVar[tuple[str, ...]] = ("shapes", "intensities", "uptake", "diameters")
    output: ClassVar[str] = "measurements"

    def process(
        self,
        shapes: tuple[SegmentMeasurements, ...],
        intensities: tuple[SegmentMeasurements, ...],
        uptake: tuple[SegmentMeasurements, ...],
        diameters: tuple[Diameters, ...],
    ) -> tuple[SegmentMeasurements, ...]:
        """Merge."""
        return merge_measurements(shapes, tuple(one.measured for one in diameters), intensities, uptake)


def merge_measurements(*parts: tuple[SegmentMeasurements, ...]) -> tuple[SegmentMeasurements, ...]:
    """The values of several measurements of the same segments, one behind the other.

    Raises:
        ValueError: If they are not of the same segments in the same order.
    """
    merged = []
    for of_segment in zip(*parts, strict=True):
        first = of_segment[0]
        if any((one.segment_name, one.voxels) != (first.segment_name, first.voxels) for one in of_segment):
            raise ValueError(f"measurements of {[one.segment_name for one in of_segment]} are no one segment's")
        values = tuple(value for one in of_segment for value in one.values)
        merged.append(SegmentMeasurements(first.segment_name, first.voxels, values))
    return tuple(merged)
