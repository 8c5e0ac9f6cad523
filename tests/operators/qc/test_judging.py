"""Judging: outside of usual is a caution, outside of possible a hold, and the sentence has rule, value and way out."""

import pytest

from operators.core.quality import Severity
from operators.core.quality_limits import Range
from operators.qc.judging import Sentence, judge

LIMITS = Range(usual=(10, 20), possible=(5, 40))
SENTENCE = Sentence("The noise", "HU", "Volumes are too small. Measure thicker slices.")


@pytest.mark.parametrize("value", [10, 15, 20])
def test_a_usual_value_is_no_finding(value):
    assert judge("noise", value, LIMITS, SENTENCE) is None


@pytest.mark.parametrize(
    ("value", "severity"),
    [(9, Severity.CAUTION), (40, Severity.CAUTION), (4.9, Severity.HOLD), (41, Severity.HOLD)],
)
def test_what_is_not_usual_is_a_caution_and_what_is_not_possible_a_hold(value, severity):
    assert judge("noise", value, LIMITS, SENTENCE).severity is severity


def test_the_sentence_has_the_value_the_rule_and_the_way_out():
    caution, hold = (judge("noise", value, LIMITS, SENTENCE).message for value in (25, 50))

    assert caution == "The noise is 25 HU, usual is 10 to 20 HU: Volumes are too small. Measure thicker slices."
    assert hold.startswith("The noise is 50 HU, possible is 5 to 40 HU: ")


@pytest.mark.parametrize(("value", "told"), [(1234.4, "1234"), (-1099.6, "-1100"), (99.94, "99.9"), (0.0123, "0.0123")])
def test_numbers_are_told_without_powers_of_ten(value, told):
    assert f"The noise is {told} HU, " in judge("noise", value, LIMITS, SENTENCE).message


def test_limits_with_one_end_are_told_as_such():
    assert "usual is at most 20 HU" in judge("noise", 21, Range(usual=(None, 20)), SENTENCE).message
    assert "usual is at least 10 HU" in judge("noise", 1, Range(usual=(10, None)), SENTENCE).message
