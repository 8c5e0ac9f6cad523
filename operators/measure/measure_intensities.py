"""MeasureIntensities: mean, SD, median, minimum and maximum of the image inside every segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core import codes
from operators.core.measurements import Measurement, SegmentMeasurements, rounded
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.measure.intensities import scale_of, values_in
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

STATISTICS: tuple[tuple[str, Callable[[NDArray[np.float64]], np.floating], Code], ...] = (
    ("mean", np.mean, codes.MEAN),
    ("sd", np.std, codes.STANDARD_DEVIATION),
    ("median", np.median, codes.MEDIAN),
    ("min", np.min, codes.MINIMUM),
    ("max", np.max, codes.MAXIMUM),
)


class MeasureIntensities(Step):
    """Measure HU of a CT, SUVbw of a PET, the signal of an MR inside of every segment.

    Over the N voxels of the image whose centres lie in the segment: mean = sum / N, sd = square root of the mean of the
    squared distances from the mean (population form), median, min, max. Where the segmentation has another grid than
    the image, the mask is brought onto the image's grid (nearest neighbour) and not the image onto the mask's:
    interpolated values are no measured ones, their spread is too small and their maximum too low. Padding is left out.

    Named Input:
        values: Volume in HU, SUVbw or signal.
        label_map: SegmentedRegions.

    Named Output:
        intensities: tuple of SegmentMeasurements, one a segment; no values where no voxel's centre lies in it, or
            a CT says that its values are no HU.
    """

    inputs: ClassVar[tuple[str, ...]] = ("values", "label_map")
    output: ClassVar[str] = "intensities"

    def process(self, values: Volume, label_map: SegmentedRegions) -> tuple[SegmentMeasurements, ...]:
        """Measure."""
        return measure_intensities(values, label_map)


def measure_intensities(volume: Volume, regions: SegmentedRegions) -> tuple[SegmentMeasurements, ...]:
    """Statistics of each region."""
    scale = scale_of(volume)
    quantities = [(scale.quantity(name, code), statistic) for name, statistic, code in STATISTICS] if scale else []
    measured = []
    for region in regions.regions:
        values = values_in(region, volume).astype(np.float64)
        numbers = [Measurement(q, rounded(float(statistic(values)))) for q, statistic in quantities if values.size]
        measured.append(SegmentMeasurements(region.segment.name, region.voxels, tuple(numbers)))
    return tuple(measured)
