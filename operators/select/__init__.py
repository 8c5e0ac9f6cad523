"""Which series an app works on."""

from operators.select.select_series import SelectSeries

__all__ = ["SelectSeries"]
