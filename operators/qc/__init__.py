"""May the numbers be used."""

from operators.qc.check_applicability import CheckApplicability
from operators.qc.check_border_contact import CheckBorderContact
from operators.qc.check_distribution import CheckDistribution, DistributionParameters
from operators.qc.check_field_of_view import CheckFieldOfView
from operators.qc.check_input import CheckInput
from operators.qc.check_laterality import CheckLaterality
from operators.qc.check_levels import CheckLevels
from operators.qc.check_plausibility import CheckPlausibility
from operators.qc.check_unmeasured import CheckUnmeasured
from operators.qc.judge_quality import JudgeQuality
from operators.qc.measure_input import MeasureInput
from operators.qc.measure_laterality import MeasureLaterality

__all__ = [
    "CheckApplicability",
    "CheckBorderContact",
    "CheckDistribution",
    "CheckFieldOfView",
    "CheckInput",
    "CheckLaterality",
    "CheckLevels",
    "CheckPlausibility",
    "CheckUnmeasured",
    "DistributionParameters",
    "JudgeQuality",
    "MeasureInput",
    "MeasureLaterality",
]
