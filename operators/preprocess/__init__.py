"""From volumes as scanners write them to volumes that engines can work on."""

from operators.preprocess.calibrate_values import CalibrateValues
from operators.preprocess.convert_to_suv import ConvertToSUV
from operators.preprocess.straighten_stack import StraightenStack, StraightenStackParameters

__all__ = ["CalibrateValues", "ConvertToSUV", "StraightenStack", "StraightenStackParameters"]
