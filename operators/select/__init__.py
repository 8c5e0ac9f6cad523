"""Which series an app works on."""

from operators.select.select_segmented_series import SelectSegmentedSeries
from operators.select.select_series import SelectSeries

__all__ = ["SelectSegmentedSeries", "SelectSeries"]
