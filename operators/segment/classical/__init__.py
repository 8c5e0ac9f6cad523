"""Weight-free engine for tissues in a trunk CT: numpy, SciPy and scikit-image, arrays in and arrays out."""

from operators.segment.classical.errors import TrunkSegmentationError
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.trunk import TrunkSegmentation, TrunkTissue, segment_trunk

__all__ = ["TrunkParameters", "TrunkSegmentation", "TrunkSegmentationError", "TrunkTissue", "segment_trunk"]
