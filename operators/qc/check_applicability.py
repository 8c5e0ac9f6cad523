"""CheckApplicability: hold the app's limits against the headers and the pixels of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.quality import QualityFinding, QualityReport, Severity
from operators.core.quality_limits import InputQuantity, QualityLimits
from operators.core.volume import Volume
from operators.qc.input_quantities import SENTENCES, measure_input
from operators.qc.judging import judge
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.core.quality_limits import Range
    from operators.qc.input_quantities import Quantities

CALIBRATION = (InputQuantity.AIR_HU, InputQuantity.FAT_HU)
"""What a scale of HU is known by: without them no window of HU means anything."""


class CheckApplicability(Step):
    """Say where a volume is not one that the app's numbers can be trusted on.

    Headers can be wrong, and so can pixels: HU are held against the air around the body and the fat under its skin,
    spacing against the body's size, sides against the liver; noise, blur, metal, thick and missing slices have limits.
    What cannot be told on a scan is named as not checked.

    Named Input:
        volume: Volume, an axial CT in HU.

    Named Output:
        applicability_quality: QualityReport; a hold where the limits of the manifest say that a value is not possible.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "applicability_quality"

    def process(self, volume: Volume) -> QualityReport:
        """Measure and judge."""
        limits: QualityLimits = self.parameters
        return check_applicability(measure_input(volume), limits.input) if limits.input else QualityReport(())


def check_applicability(quantities: Quantities, limits: Mapping[InputQuantity, Range]) -> QualityReport:
    """Judge what was measured by limits.

    Args:
        quantities: What `measure_input` found.
        limits: Ranges of the manifest.

    Returns:
        One finding for each value outside of its range. Without air or fat the scale of HU is not known, which is a
        hold; any other quantity that could not be measured is not checked.
    """
    findings, unchecked = [], []
    for quantity, limit in limits.items():
        value, sentence = quantities[quantity], SENTENCES[quantity]
        if value is not None:
            finding = judge(quantity, value, limit, sentence)
            findings += [finding] if finding else []
        elif quantity in CALIBRATION:
            message = f"{sentence.what} could not be measured: {sentence.unmeasured}. {sentence.meaning}"
            findings.append(QualityFinding(f"{quantity}_not_found", message, Severity.HOLD))
        else:
            unchecked.append(f"Not checked: {sentence.what[0].lower()}{sentence.what[1:]}; {sentence.unmeasured}.")
    return QualityReport(tuple(findings), tuple(unchecked))
