"""May the numbers be used."""

from operators.qc.check_border_contact import CheckBorderContact
from operators.qc.check_field_of_view import CheckFieldOfView
from operators.qc.check_input import CheckInput
from operators.qc.judge_quality import JudgeQuality

__all__ = ["CheckBorderContact", "CheckFieldOfView", "CheckInput", "JudgeQuality"]
