"""Engine: what segments a volume, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from operators.core.label_map import Algorithm, LabelMap
from operators.core.label_map import Segment as SegmentDescription
from operators.core.volume import Volume

Report = Callable[[float, str], None]
"""Hears of the fraction done, 0 to 1, and of the step that begins; raises RunCancelled where nobody wants the run."""


class Engine(Protocol):
    """What segments a volume: a frozen dataclass of its checked parameters."""

    @property
    def algorithm(self) -> Algorithm:
        """What results name; its digest changes with the model and with every parameter that changes a label."""

    @property
    def segments(self) -> tuple[SegmentDescription, ...]:
        """What the labels mean."""

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Segment a volume.

        Args:
            volume: `(slices, rows, columns)` in whatever orientation it was stored; padding is no tissue.
            report: Hears of progress, often enough for a run to be cancelled.

        Returns:
            Labels on the volume's own grid.

        Raises:
            SegmentationError: If there is nothing that the engine can segment.
            GeometryError: If the engine cannot work on such a grid.
        """
