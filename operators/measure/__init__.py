"""From label maps to numbers."""

from operators.measure.measure_key_slices import MeasureKeySlices
from operators.measure.measure_ratios import MeasureRatios, MeasureRatiosParameters, Ratio
from operators.measure.measure_segments import MeasureSegments
from operators.measure.measure_slice_areas import MeasureSliceAreas

__all__ = [
    "MeasureKeySlices",
    "MeasureRatios",
    "MeasureRatiosParameters",
    "MeasureSegments",
    "MeasureSliceAreas",
    "Ratio",
]
