"""CheckLevels: whose levels they are is said; what cannot be used is a caution."""

from operators.core.catalogue import entry
from operators.core.levels import Levels
from operators.core.quality import Verdict
from operators.qc.check_levels import UNUSABLE, check_levels
from tests.builders import ALGORITHM, make_label_map, make_volume

TISSUES_ALONE = make_label_map(make_volume())
VERTEBRAE = tuple(entry(f"vertebrae_{name}").segment(number, (number,)) for number, name in enumerate(("L3", "L4"), 1))
FOUND = Levels({"vertebra_l2": 30, "vertebra_l3": 20}, cut=("vertebra_l5",), sources=("1.2.3",))


def example(_tmp_path):
    return None, {"levels": FOUND, "label_map": TISSUES_ALONE}


def test_levels_name_their_source_and_that_nobody_checked_it():
    report = check_levels(FOUND, TISSUES_ALONE)

    assert report.verdict is Verdict.PASS
    source, cut = report.not_checked
    assert "Segmentation 1.2.3" in source
    assert "not checked" in source
    assert "L5 vertebra" in cut


def test_what_cannot_be_used_is_a_caution_with_its_reason():
    report = check_levels(Levels(unusable=("L2 vertebra has no level: 2 segments claim to be it.",)), TISSUES_ALONE)

    (finding,) = report.findings
    assert (report.verdict, finding.code) == (Verdict.CAUTION, UNUSABLE)
    assert "2 segments" in finding.message


def test_a_study_without_vertebrae_has_nothing_to_say():
    report = check_levels(Levels(), TISSUES_ALONE)

    assert (report.findings, report.not_checked) == ((), ())


def test_vertebrae_of_the_engine_are_said_to_be_its_own_and_unchecked():
    label_map = make_label_map(make_volume(), segments=VERTEBRAE, landmarks={"vertebra_l3": 3})

    missing, own = check_levels(Levels(), label_map).not_checked

    assert missing.startswith("No level for L4 vertebra: ")
    assert f"those that {ALGORITHM.name} finds" in own


def test_vertebrae_of_the_engine_are_no_matter_where_others_came_with_the_images():
    label_map = make_label_map(make_volume(), segments=VERTEBRAE, landmarks={"vertebra_l2": 30, "vertebra_l3": 20})

    assert check_levels(FOUND, label_map).not_checked == check_levels(FOUND, TISSUES_ALONE).not_checked
