"""Segment: run the app's engine on a volume."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from operators.core.label_map import LabelMap, require_same_grid
from operators.core.levels import Levels
from operators.core.model_folder import find_model
from operators.core.segmented_regions import Grid
from operators.core.vertebrae import slices_of, vertebrae_in
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.engine import Engine
from operators.segment.networks.network_engine import load_network


class Segment(Step):
    """Segment a volume with the app's engine, which is this step's parameter.

    Besides the port below it takes Levels on a port that the app names in `more_inputs`, where vertebrae are read from
    what came with the images: they are landmarks of the label map as those that the engine finds. Where none came, the
    vertebrae among the engine's own segments are, by the same rules (`operators.core.vertebrae`).

    Named Input:
        volume: Volume, in whatever orientation it was stored.

    Named Output:
        label_map: LabelMap on the volume's grid, with the segments, landmarks and probabilities that the engine gives.

    Raises SegmentationError and GeometryError as the engine does, GeometryError too where labels lie on another grid.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "label_map"
    share: ClassVar[float] = 30.0

    @classmethod
    def prepare(cls, model: Path | None) -> None:
        """Load the network of a model folder once for all runs of the process."""
        if model is not None:
            load_network(find_model(model))

    def process(self, volume: Volume, **others: Levels) -> LabelMap:
        """Run the engine."""
        engine: Engine = self.parameters
        label_map = engine.segment(volume, self.report)
        require_same_grid(volume, label_map)
        found = {name: index for levels in others.values() for name, index in levels.landmarks.items()}
        if others and not found:
            grid = Grid(label_map.array.shape, label_map.affine_lps.copy())
            found = slices_of(tuple(vertebrae_in(label_map)), grid).landmarks
        return replace(label_map, landmarks={**label_map.landmarks, **found}) if found else label_map
