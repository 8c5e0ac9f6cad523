"""TrunkEngine: body, bone, subcutaneous and visceral fat and skeletal muscle of a trunk CT, without weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import numpy as np

from operators.core import codes
from operators.core.errors import GeometryError
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.orientation import canonical
from operators.core.volume import Volume
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.trunk import segment_trunk
from operators.segment.engine import Report
from operators.segment.trunk_tissues import TRUNK_SEGMENTS

ILIAC_CREST = "iliac_crest"
THORAX = "thorax"
"""Landmarks of the label map: the highest slice with iliac bone, the lowest with more lung than abdomen."""

AIR_HU = np.int16(-1024)
"""What the engine sees where the scanner wrote padding."""


@dataclass(frozen=True)
class TrunkEngine:
    """The classical trunk engine.

    Attributes:
        version: Version of the app, which is the version of the algorithm.
        parameters: Constants of the engine.
    """

    version: str
    parameters: TrunkParameters = field(default_factory=TrunkParameters)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that results name; its digest changes with every constant."""
        content = {"engine": "classical/trunk", "version": self.version, "parameters": asdict(self.parameters)}
        return Algorithm(
            name="mapnode classical trunk tissues",
            version=self.version,
            digest=digest_of(content),
            family=codes.MORPHOLOGICAL_OPERATIONS,
        )

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Body and its tissues."""
        return TRUNK_SEGMENTS

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Turn a volume to head, back, left, segment it, and turn the labels back onto the volume's grid.

        Args:
            volume: Axial CT, `(slices, rows, columns)` in HU.
            report: Hears of the fraction done.

        Returns:
            Labels with the meaning of TRUNK_SEGMENTS, and the slices of the landmarks that were found.

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
        found = segment_trunk(turn.apply(values), turn.apply_spacing(volume.spacing_mm), self.parameters, report)
        last = volume.array.shape[0] - 1
        levels = {ILIAC_CREST: found.iliac_crest_slice, THORAX: found.thorax_slice}
        landmarks = {
            name: last - index if 0 in turn.flips else index for name, index in levels.items() if index is not None
        }
        labels = np.ascontiguousarray(turn.undo(found.labels))
        return LabelMap(labels, volume.affine_lps, self.segments, self.algorithm, landmarks)
