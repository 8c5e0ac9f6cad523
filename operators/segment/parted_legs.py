"""PartedLegs: tissues that any engine finds in both legs, given to the left and to the right one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from operators.core.errors import ModelError
from operators.core.identity import digest_of
from operators.core.label_map import LABELS, Algorithm, LabelMap, Segment
from operators.core.volume import Volume
from operators.segment.classical.axial import AxialCT
from operators.segment.classical.leg_engine import landmarks_of
from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.legs import part_tissues
from operators.segment.engine import Engine, Report
from operators.segment.leg_tissues import LEG_SEGMENTS, LEG_TISSUES

TISSUES_FOUND = 0.9
"""Of the whole work: what the engine itself takes."""


@dataclass(frozen=True)
class PartedLegs:
    """An engine whose tissues have no side, as a network of LegSegNet's layout, and the classical search for the legs.

    Attributes:
        engine: Finds bone, subcutaneous fat, intermuscular fat and skeletal muscle, by these names of the catalogue.
        parameters: Constants of the classical engine, which tells the legs apart.
    """

    engine: Engine
    parameters: LegParameters = field(default_factory=LegParameters)

    @property
    def algorithm(self) -> Algorithm:
        """The engine's algorithm; the digest takes in the constants that part the legs."""
        inner = self.engine.algorithm
        return replace(inner, digest=digest_of({"tissues": inner.digest, "legs": asdict(self.parameters)}))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The tissues of both legs."""
        return LEG_SEGMENTS

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Have the engine segment a volume, and part what it finds.

        Args:
            volume: Axial CT, `(slices, rows, columns)` in HU.
            report: Hears of the fraction done.

        Returns:
            Labels with the meaning of LEG_SEGMENTS, and the slices of the landmarks that were found.

        Raises:
            ModelError: If the engine does not know all four tissues.
            GeometryError: If the slices are not axial, or shifted against each other.
        """
        scan = AxialCT.of(volume)
        found = self.engine.segment(volume, lambda fraction, step: report(TISSUES_FOUND * fraction, step))
        report(TISSUES_FOUND, "legs")
        tissues = scan.turn.apply(_tissues_of(found))
        parted = part_tissues(tissues, scan.hu, scan.spacing_mm, self.parameters)
        landmarks = {name: scan.slice_back(index) for name, index in landmarks_of(parted).items()}
        return LabelMap(scan.labels_back(parted.labels), volume.affine_lps, self.segments, self.algorithm, landmarks)


def _tissues_of(found: LabelMap) -> NDArray[np.uint8]:
    """`(slices, rows, columns)`, a `LegTissue` where the engine found one, 0 elsewhere.

    Raises:
        ModelError: If the engine does not know all four tissues.
    """
    known = {segment.name: segment for segment in found.segments}
    missing = [name for name in LEG_TISSUES if name not in known]
    if missing:
        raise ModelError(
            f"the model has no {', '.join(missing)}; it has {', '.join(known)}. Say in the manifest which labels "
            "mean them (mapnode.model.labels)"
        )
    table = np.zeros(LABELS, dtype=np.uint8)
    for name, tissue in LEG_TISSUES.items():
        table[list(known[name].labels)] = tissue
    return np.asarray(table[found.array])
