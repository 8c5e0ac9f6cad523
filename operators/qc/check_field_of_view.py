"""CheckFieldOfView: say where a scan leaves the region that the method is made for."""

from __future__ import annotations

from typing import ClassVar

from operators.core.label_map import LabelMap
from operators.core.quality import QualityFinding, QualityReport
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.segment import ILIAC_CREST, THORAX

ORGAN_TEXT = {
    ILIAC_CREST: (
        "field_of_view_below_iliac_crest",
        "The scan reaches below the iliac crest: the slices from z = {z:.1f} mm downwards ({count} of {total}) hold "
        "body and bone only, and fat and muscle are measured above them. The method is not made for the pelvis.",
    ),
    THORAX: (
        "field_of_view_in_thorax",
        "The scan reaches into the thorax: from z = {z:.1f} mm upwards ({count} of {total} slices) fat inside the "
        "chest is counted as visceral fat, and the method was not tested there.",
    ),
}


class CheckFieldOfView(Step):
    """Say where the field of view reaches below the iliac crest or into the thorax.

    Named Input:
        volume: Volume.
        label_map: LabelMap with landmarks, slice indices in the volume.

    Named Output:
        quality: QualityReport; caution where the scan leaves the abdomen.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "quality"

    def process(self, volume: Volume, label_map: LabelMap) -> QualityReport:
        """Look at the landmarks."""
        return check_field_of_view(volume, label_map)


def check_field_of_view(volume: Volume, label_map: LabelMap) -> QualityReport:
    """One finding for each landmark that lies in the field of view, with its LPS z in mm."""
    total = len(volume.slices)
    head_up = volume.affine_lps[2, 0] > 0
    findings = []
    for name, (code, text) in ORGAN_TEXT.items():
        index = label_map.landmarks.get(name)
        if index is None:
            continue
        # Slices on the far side of the landmark, the landmark's own included.
        towards_feet = name == ILIAC_CREST
        count = index + 1 if towards_feet == head_up else total - index
        findings.append(QualityFinding(code, text.format(z=volume.position_lps(index)[2], count=count, total=total)))
    return QualityReport(tuple(findings))
