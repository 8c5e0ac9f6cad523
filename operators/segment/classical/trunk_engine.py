"""TrunkEngine: body, bone, subcutaneous, visceral and intermuscular fat and muscle of a trunk CT, without weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from operators.core import codes
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.volume import Volume
from operators.segment.classical.axial import AxialCT
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.trunk import segment_trunk
from operators.segment.engine import Report
from operators.segment.trunk_tissues import TRUNK_SEGMENTS

ILIAC_CREST = "iliac_crest"
THORAX = "thorax"
"""Landmarks of the label map: the highest slice with iliac bone, the lowest with more lung than abdomen."""


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
        scan = AxialCT.of(volume)
        found = segment_trunk(scan.hu, scan.spacing_mm, self.parameters, report)
        levels = {ILIAC_CREST: found.iliac_crest_slice, THORAX: found.thorax_slice}
        landmarks = {name: scan.slice_back(index) for name, index in levels.items() if index is not None}
        return LabelMap(scan.labels_back(found.labels), volume.affine_lps, self.segments, self.algorithm, landmarks)
