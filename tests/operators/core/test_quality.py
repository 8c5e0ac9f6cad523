"""QualityReport: any finding asks for caution."""

from operators.core.quality import QualityFinding, QualityReport, Verdict


def test_report_without_findings_passes():
    assert QualityReport(()).verdict is Verdict.PASS


def test_any_finding_asks_for_caution():
    assert QualityReport((QualityFinding("noise", "The scan is noisy."),)).verdict is Verdict.CAUTION
