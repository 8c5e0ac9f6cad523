"""CheckFieldOfView: say where a scan leaves the region that the method is made for, or cuts the body."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from operators.core.label_map import LabelMap
from operators.core.quality import QualityFinding, QualityReport
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.classical.trunk_engine import ILIAC_CREST, THORAX

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


CONTACT_MM = 20.0
"""A shorter contact is skin or a fold that grazes the border: its loss does not change a number that matters."""
CUT_TEXT = (
    "The body is cut off by the border of the image in {count} of {total} slices: what lies outside is in no number, "
    "subcutaneous fat above all."
)


class CheckFieldOfView(Step):
    """Say where the field of view reaches below the iliac crest or into the thorax, or cuts the body's sides off.

    Named Input:
        volume: Volume.
        label_map: LabelMap with landmarks, slice indices in the volume.

    Named Output:
        field_of_view_quality: QualityReport; caution where the scan leaves the abdomen or cuts the body.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "field_of_view_quality"

    def process(self, volume: Volume, label_map: LabelMap) -> QualityReport:
        """Look at the landmarks."""
        return check_field_of_view(volume, label_map)


def check_field_of_view(volume: Volume, label_map: LabelMap) -> QualityReport:
    """One finding for each landmark that lies in the field of view, with its LPS z in mm, and one for a cut body."""
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
    cut = _cut_slices(volume, label_map)
    if cut:
        findings.append(QualityFinding("body_cut_by_field_of_view", CUT_TEXT.format(count=cut, total=total)))
    return QualityReport(tuple(findings))


def _cut_slices(volume: Volume, label_map: LabelMap) -> int:
    """Number of slices in which the body meets the border of the image over more than CONTACT_MM."""
    _, row_mm, column_mm = volume.spacing_mm
    inside = label_map.array > 0
    lengths = (
        inside[:, :, 0].sum(axis=1) * row_mm,
        inside[:, :, -1].sum(axis=1) * row_mm,
        inside[:, 0].sum(axis=1) * column_mm,
        inside[:, -1].sum(axis=1) * column_mm,
    )
    return int((np.max(lengths, axis=0) > CONTACT_MM).sum())
