"""QualityReport: the verdict is the worst that a finding asks for."""

from operators.core.quality import QualityFinding, QualityReport, Severity, Verdict

NOISE = QualityFinding("noise", "The scan is noisy.")
SCALE = QualityFinding("scale", "The scan is not calibrated.", Severity.HOLD)


def test_report_without_findings_passes():
    assert QualityReport(()).verdict is Verdict.PASS


def test_a_finding_asks_for_caution_unless_it_says_otherwise():
    assert QualityReport((NOISE,)).verdict is Verdict.CAUTION
    assert not QualityReport((NOISE,)).is_held


def test_one_hold_holds_the_numbers_back():
    assert QualityReport((NOISE, SCALE, NOISE)).verdict is Verdict.HOLD
    assert QualityReport((SCALE,)).is_held


def test_joined_reports_keep_findings_and_what_was_not_checked_in_order():
    joined = QualityReport.joined((QualityReport((NOISE,), ("a",)), QualityReport((SCALE,), ("b",))))

    assert joined == QualityReport((NOISE, SCALE), ("a", "b"))
