"""MeasureSegments: volume and attenuation of every segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core import codes
from operators.core.label_extents import extents_of
from operators.core.label_map import LabelMap, require_same_grid
from operators.core.measurements import Measurement, Quantity, SegmentMeasurements, rounded
from operators.core.volume import Volume
from operators.measure.tally import Tally, sum_labels
from operators.measure.volume_interval import volume_interval
from operators.runtime.step import Step

if TYPE_CHECKING:
    from operators.core.label_map import Segment

VOLUME = Quantity("volume_ml", "mL", codes.VOLUME, codes.CUBIC_CENTIMETRE)
MEAN_HU = Quantity("mean_hu", "HU", codes.ATTENUATION_COEFFICIENT, codes.HOUNSFIELD_UNIT, codes.MEAN)
SD_HU = Quantity("sd_hu", "HU", codes.ATTENUATION_COEFFICIENT, codes.HOUNSFIELD_UNIT, codes.STANDARD_DEVIATION)


class MeasureSegments(Step):
    """Measure volume, mean and standard deviation of HU of every segment.

    - volume_ml = voxels x voxel volume in mm3 / 1000, the voxel's height taken from the positions of the slices
      (Image Position (Patient)), not from Slice Thickness;
    - mean_hu = mean of the segment's voxels, padding left out;
    - sd_hu = their standard deviation around it, over all N of these (population form);
    - volume_p05_ml, volume_p95_ml where the engine gave probabilities: operators/measure/volume_interval.py.

    Named Input:
        volume: Volume in HU.
        label_map: LabelMap on its grid.

    Named Output:
        measurements: tuple of SegmentMeasurements, one a segment, also of those that were not found.

    Raises GeometryError where the label map does not lie on the volume's grid.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "measurements"

    def process(self, volume: Volume, label_map: LabelMap) -> tuple[SegmentMeasurements, ...]:
        """Measure."""
        return measure_segments(volume, label_map)


def measure_segments(volume: Volume, label_map: LabelMap) -> tuple[SegmentMeasurements, ...]:
    """Volume in mL, mean and SD in HU of each segment of a label map.

    Raises:
        GeometryError: If the label map does not lie on the volume's grid.
    """
    require_same_grid(volume, label_map)
    counts = extents_of(label_map).counts.sum(axis=0)
    tally = sum_labels(volume, label_map)
    voxel_mm3 = volume.voxel_volume_mm3
    measured = []
    for segment in label_map.segments:
        voxels = int(counts[list(segment.labels)].sum())
        values = (Measurement(VOLUME, rounded(voxels * voxel_mm3 / 1000)), *_attenuation(segment, tally))
        interval = volume_interval(label_map, segment, voxel_mm3) if voxels else ()
        measured.append(SegmentMeasurements(segment.name, voxels, values + interval))
    return tuple(measured)


def _attenuation(segment: Segment, tally: Tally) -> tuple[Measurement, ...]:
    """Mean and SD; nothing where no voxel has a value."""
    voxels, total, squares = (float(of_label[list(segment.labels)].sum()) for of_label in tally)
    if not voxels:
        return ()
    mean = total / voxels
    variance = max(0.0, squares / voxels - mean * mean)
    return Measurement(MEAN_HU, rounded(mean)), Measurement(SD_HU, rounded(variance**0.5))
