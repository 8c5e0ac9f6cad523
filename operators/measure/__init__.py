"""From label maps to numbers."""

from operators.measure.measure_segments import MeasureSegments
from operators.measure.measure_slice_areas import MeasureSliceAreas

__all__ = ["MeasureSegments", "MeasureSliceAreas"]
