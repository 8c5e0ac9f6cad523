"""From files to volumes."""

from operators.load.load_levels import LoadLevels
from operators.load.load_segmentation import LoadSegmentation, LoadSegmentationParameters
from operators.load.load_series import LoadSeries, LoadSeriesParameters
from operators.load.load_volume import LoadVolume, LoadVolumeParameters

__all__ = [
    "LoadLevels",
    "LoadSegmentation",
    "LoadSegmentationParameters",
    "LoadSeries",
    "LoadSeriesParameters",
    "LoadVolume",
    "LoadVolumeParameters",
]
