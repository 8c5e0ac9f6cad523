"""All findings, one verdict."""

from operators.core.quality import QualityFinding, QualityReport, Verdict
from operators.qc.judge_quality import JudgeQuality
from operators.runtime.sdk import Application

FINE = QualityReport(())
CAUTIOUS = QualityReport((QualityFinding("a", "something"),))


def example(tmp_path):
    return None, {"input_quality": CAUTIOUS, "field_of_view_quality": FINE}


def test_one_finding_is_enough_for_caution():
    judge = JudgeQuality(Application())
    assert judge.process(FINE, FINE).verdict is Verdict.PASS
    assert judge.process(CAUTIOUS, FINE).verdict is Verdict.CAUTION
    assert judge.process(FINE, CAUTIOUS).verdict is Verdict.CAUTION
    assert judge.process(CAUTIOUS, CAUTIOUS).findings == CAUTIOUS.findings * 2
