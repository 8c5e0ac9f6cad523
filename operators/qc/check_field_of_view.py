"""CheckFieldOfView: say where a scan leaves the region that the method is made for, or cuts the body."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core.field_of_view import contact_mm, unseen
from operators.core.label_map import LabelMap
from operators.core.quality import QualityFinding, QualityReport
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.segment.classical.leg_engine import PELVIS
from operators.segment.classical.trunk_engine import ILIAC_CREST, THORAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    PELVIS: (
        "field_of_view_in_pelvis",
        "The scan reaches into the pelvis: the slices from z = {z:.1f} mm upwards ({count} of {total}) hold no labels, "
        "and the legs are measured below them.",
    ),
}


CONTACT_MM = 20.0
"""A shorter contact is skin or a fold that grazes the border: its loss does not change a number that matters."""
CUT_TEXT = (
    "The body is cut off by the border of the field of view in {count} of {total} slices: what lies outside is in no "
    "number, subcutaneous fat above all."
)


class CheckFieldOfView(Step):
    """Say where the field of view leaves what the engine is made for, or cuts the body's sides off.

    Named Input:
        volume: Volume.
        label_map: LabelMap with landmarks, slice indices in the volume.

    Named Output:
        field_of_view_quality: QualityReport; caution where the scan leaves that region or cuts the body.
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
    """Number of slices in which the body meets the border of the image, or unseen pixels, over more than CONTACT_MM."""
    _, row_mm, column_mm = volume.spacing_mm
    inside = label_map.array > 0
    lengths = (
        inside[:, :, 0].sum(axis=1) * row_mm,
        inside[:, :, -1].sum(axis=1) * row_mm,
        inside[:, 0].sum(axis=1) * column_mm,
        inside[:, -1].sum(axis=1) * column_mm,
    )
    at_border = np.max(lengths, axis=0)
    return sum(
        bool(at_border[index] > CONTACT_MM or _unseen_mm(volume, index, plane) > CONTACT_MM)
        for index, plane in enumerate(inside)
    )


def _unseen_mm(volume: Volume, index: int, inside: NDArray[np.bool_]) -> float:
    """Length over which the body of a slice faces what was not reconstructed."""
    outside = unseen(volume, index) if inside.any() else None
    return 0.0 if outside is None else contact_mm(inside, outside, volume.spacing_mm[1:])
