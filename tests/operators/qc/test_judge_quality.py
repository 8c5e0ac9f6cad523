"""All findings, one verdict."""

from operators.core.quality import QualityFinding, QualityReport, Severity, Verdict
from operators.qc.judge_quality import JudgeQuality
from operators.runtime.sdk import Application

FINE = QualityReport(())
CAUTIOUS = QualityReport((QualityFinding("a", "something"),))

HOLDING = QualityReport((QualityFinding("b", "something worse", Severity.HOLD),))


def example(tmp_path):
    return None, {"input_quality": CAUTIOUS, "field_of_view_quality": FINE}


def test_one_finding_is_enough_for_caution():
    judge = JudgeQuality(Application())
    assert judge.process(FINE, FINE).verdict is Verdict.PASS
    assert judge.process(CAUTIOUS, FINE).verdict is Verdict.CAUTION
    assert judge.process(FINE, CAUTIOUS).verdict is Verdict.CAUTION
    assert judge.process(CAUTIOUS, CAUTIOUS).findings == CAUTIOUS.findings * 2


def test_one_hold_outweighs_all_cautions_and_further_checks_count():
    judge = JudgeQuality(Application(), more_inputs=("applicability_quality",))

    report = judge.process(CAUTIOUS, FINE, applicability_quality=HOLDING)

    assert report.verdict is Verdict.HOLD
    assert report.findings == CAUTIOUS.findings + HOLDING.findings


def test_what_was_not_checked_is_said_and_asks_for_nothing():
    unchecked = QualityReport((), ("No reference set.",))

    report = JudgeQuality(Application()).process(FINE, unchecked)

    assert (report.verdict, report.not_checked) == (Verdict.PASS, ("No reference set.",))
