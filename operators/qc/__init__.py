"""May the numbers be used."""

from operators.qc.check_applicability import CheckApplicability
from operators.qc.check_field_of_view import CheckFieldOfView
from operators.qc.check_input import CheckInput
from operators.qc.judge_quality import JudgeQuality

__all__ = ["CheckApplicability", "CheckFieldOfView", "CheckInput", "JudgeQuality"]
