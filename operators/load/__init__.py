"""From files to volumes."""

from operators.load.load_series import LoadSeries, LoadSeriesParameters
from operators.load.load_volume import LoadVolume, LoadVolumeParameters

__all__ = ["LoadSeries", "LoadSeriesParameters", "LoadVolume", "LoadVolumeParameters"]
