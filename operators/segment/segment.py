"""Segment: run the app's engine on a volume."""

from __future__ import annotations

from typing import ClassVar

from operators.core.label_map import LabelMap, require_same_grid
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.engine import Engine


class Segment(Step):
    """Segment a volume with the app's engine, which is this step's parameter.

    Named Input:
        volume: Volume, in whatever orientation it was stored.

    Named Output:
        label_map: LabelMap on the volume's grid, with the segments, landmarks and probabilities that the engine gives.

    Raises SegmentationError and GeometryError as the engine does, GeometryError too where labels lie on another grid.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "label_map"
    share: ClassVar[float] = 30.0

    def process(self, volume: Volume) -> LabelMap:
        """Run the engine."""
        engine: Engine = self.parameters
        label_map = engine.segment(volume, self.report)
        require_same_grid(volume, label_map)
        return label_map
