"""From labels as engines make them to labels that can be measured and written."""

from operators.postprocess.restore_grid import RestoreGrid

__all__ = ["RestoreGrid"]
