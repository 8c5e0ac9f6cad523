"""From label maps to numbers."""

from operators.measure.measure_diameters import MeasureDiameters
from operators.measure.measure_intensities import MeasureIntensities
from operators.measure.measure_key_slices import MeasureKeySlices
from operators.measure.measure_muscle_index import MeasureMuscleIndex
from operators.measure.measure_ratios import MeasureRatios, MeasureRatiosParameters, Ratio
from operators.measure.measure_segments import MeasureSegments
from operators.measure.measure_shapes import MeasureShapes
from operators.measure.measure_sides import MeasureSides
from operators.measure.measure_slice_areas import MeasureSliceAreas, SliceAreasParameters
from operators.measure.measure_uptake import MeasureUptake, MeasureUptakeParameters
from operators.measure.merge_measurements import MergeMeasurements

__all__ = [
    "MeasureDiameters",
    "MeasureIntensities",
    "MeasureKeySlices",
    "MeasureMuscleIndex",
    "MeasureRatios",
    "MeasureRatiosParameters",
    "MeasureSegments",
    "MeasureShapes",
    "MeasureSides",
    "MeasureSliceAreas",
    "MeasureUptake",
    "MeasureUptakeParameters",
    "MergeMeasurements",
    "Ratio",
    "SliceAreasParameters",
]
