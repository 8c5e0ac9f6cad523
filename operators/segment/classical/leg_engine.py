"""LegEngine: bone, subcutaneous and intermuscular fat and skeletal muscle of both legs on CT, without weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from operators.core import codes
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.volume import Volume
from operators.segment.classical.axial import AxialCT
from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.legs import LegSegmentation, segment_legs
from operators.segment.engine import Report
from operators.segment.leg_tissues import LEG_SEGMENTS

PELVIS = "pelvis"
"""Landmark of the label map: the lowest slice that shows the pelvis; from there up no tissue is labelled."""
FEMUR_PERCENTS = (25, 50, 75)
"""Landmarks `femur_50_left` and so on: the slice at so many percent of a femur's length, from the knee upwards."""


@dataclass(frozen=True)
class LegEngine:
    """The classical leg engine.

    Attributes:
        version: Version of the app, which is the version of the algorithm.
        parameters: Constants of the engine.
    """

    version: str
    parameters: LegParameters = field(default_factory=LegParameters)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that results name; its digest changes with every constant."""
        content = {"engine": "classical/legs", "version": self.version, "parameters": asdict(self.parameters)}
        return Algorithm(
            name="mapnode classical leg tissues",
            version=self.version,
            digest=digest_of(content),
            family=codes.MORPHOLOGICAL_OPERATIONS,
        )

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The tissues of both legs."""
        return LEG_SEGMENTS

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Turn a volume to head, back, left, segment it, and turn the labels back onto the volume's grid.

        Left and right are the patient's, from the volume's position in LPS: prone and feet first make no difference.

        Args:
            volume: Axial CT, `(slices, rows, columns)` in HU.
            report: Hears of the fraction done.

        Returns:
            Labels with the meaning of LEG_SEGMENTS, and the slices of the landmarks that were found.

        Raises:
            GeometryError: If the slices are not axial, or shifted against each other.
        """
        scan = AxialCT.of(volume)
        found = segment_legs(scan.hu, scan.spacing_mm, self.parameters, report)
        landmarks = {name: scan.slice_back(index) for name, index in landmarks_of(found).items()}
        return LabelMap(scan.labels_back(found.labels), volume.affine_lps, self.segments, self.algorithm, landmarks)


def landmarks_of(found: LegSegmentation) -> Mapping[str, int]:
    """The pelvis, and the fractions of each complete femur that lie below it, by name."""
    landmarks = {
        f"femur_{percent}_{side}": round(femur.at(percent / 100))
        for side, femur in found.femora.items()
        for percent in FEMUR_PERCENTS
    }
    if found.pelvis_slice is None:
        return landmarks
    below = {name: index for name, index in landmarks.items() if index < found.pelvis_slice}
    return {**below, PELVIS: found.pelvis_slice}
