"""Segment: run the app's engine on a volume."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core import codes
from operators.core.errors import GeometryError
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap
from operators.core.orientation import canonical
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.trunk import segment_trunk
from operators.segment.trunk_tissues import TRUNK_SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

ILIAC_CREST = "iliac_crest"
THORAX = "thorax"


AIR_HU = np.int16(-1024)
"""What the engine sees where the scanner wrote padding."""


@dataclass(frozen=True)
class SegmentParameters:
    """Which engine, and how it is set.

    Attributes:
        version: Version of the app, which is the version of the algorithm.
        trunk: Constants of the classical trunk engine.
    """

    version: str
    trunk: TrunkParameters = field(default_factory=TrunkParameters)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that results name; its digest changes with every constant."""
        return Algorithm(
            name="mapnode classical trunk tissues",
            version=self.version,
            digest=digest_of({"engine": "classical/trunk", "version": self.version, "parameters": asdict(self.trunk)}),
            family=codes.MORPHOLOGICAL_OPERATIONS,
        )


class Segment(Step):
    """Segment a volume with the app's engine: body, bone, subcutaneous and visceral fat, skeletal muscle.

    Named Input:
        volume: Volume, an axial CT in HU, in whatever orientation it was stored.

    Named Output:
        label_map: LabelMap on the volume's grid, with the slices of the landmarks that were found.

    Raises SegmentationError where the engine finds no body, GeometryError where the volume is not axial.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "label_map"
    share: ClassVar[float] = 30.0

    def process(self, volume: Volume) -> LabelMap:
        """Run the engine."""
        parameters: SegmentParameters = self.parameters
        return segment(volume, parameters, self.report)


def segment(volume: Volume, parameters: SegmentParameters, report: Callable[[float, str], None]) -> LabelMap:
    """Turn a volume to head, back, left, segment it, and turn the labels back onto the volume's grid.

    Args:
        volume: Axial CT, `(slices, rows, columns)` in HU.
        parameters: The engine's settings.
        report: Hears of the fraction done.

    Returns:
        Labels with the meaning of TRUNK_SEGMENTS.

    Raises:
        GeometryError: If the slices are not axial, or shifted against each other.
    """
    if volume.is_sheared:
        raise GeometryError("the stack is sheared (gantry tilt); StraightenStack brings it onto an orthogonal grid")
    turn = canonical(volume.affine_lps)
    if turn.order[0] != 0:
        raise GeometryError("the trunk engine needs axial slices; reformat the series or choose an axial one")
    # Whatever number stands for "no data": the engine sees air there, and labels nothing.
    values = volume.array if volume.padding is None else np.where(volume.padding, AIR_HU, volume.array)
    found = segment_trunk(turn.apply(values), turn.apply_spacing(volume.spacing_mm), parameters.trunk, progress=report)
    last = volume.array.shape[0] - 1
    levels = {ILIAC_CREST: found.iliac_crest_slice, THORAX: found.thorax_slice}
    landmarks = {
        name: last - index if 0 in turn.flips else index for name, index in levels.items() if index is not None
    }
    labels = np.ascontiguousarray(turn.undo(found.labels))
    return LabelMap(labels, volume.affine_lps, TRUNK_SEGMENTS, parameters.algorithm, landmarks)
