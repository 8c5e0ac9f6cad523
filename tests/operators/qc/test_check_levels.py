"""CheckLevels: whose levels they are is said; what cannot be used is a caution."""

from operators.core.levels import Levels
from operators.core.quality import Verdict
from operators.qc.check_levels import UNUSABLE, check_levels

FOUND = Levels({"vertebra_l2": 30, "vertebra_l3": 20}, cut=("vertebra_l5",), sources=("1.2.3",))


def example(_tmp_path):
    return None, {"levels": FOUND}


def test_levels_name_their_source_and_that_nobody_checked_it():
    report = check_levels(FOUND)

    assert report.verdict is Verdict.PASS
    source, cut = report.not_checked
    assert "Segmentation 1.2.3" in source
    assert "not checked" in source
    assert "L5 vertebra" in cut


def test_what_cannot_be_used_is_a_caution_with_its_reason():
    report = check_levels(Levels(unusable=("L2 vertebra has no level: 2 segments claim to be it.",)))

    (finding,) = report.findings
    assert (report.verdict, finding.code) == (Verdict.CAUTION, UNUSABLE)
    assert "2 segments" in finding.message


def test_a_study_without_vertebrae_has_nothing_to_say():
    report = check_levels(Levels())

    assert (report.findings, report.not_checked) == ((), ())
