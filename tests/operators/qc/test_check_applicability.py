"""CheckApplicability: limits of the manifest decide, and what cannot be told is said."""

import pytest

from mapnode.share import shared_folder
from operators.core.manifest import read_manifest
from operators.core.quality import Severity, Verdict
from operators.core.quality_limits import InputQuantity, QualityLimits, Range
from operators.qc.check_applicability import SENTENCES, check_applicability
from operators.qc.measure_input import measure_input
from tests.operators.qc.bodies import make_body, make_legs

LIMITS = {
    InputQuantity.AIR_HU: Range(usual=(-1030, -950), possible=(-1060, -930)),
    InputQuantity.FAT_HU: Range(usual=(-125, -70), possible=(-150, -50)),
    InputQuantity.NOISE_HU: Range(usual=(None, 40), possible=(None, 80)),
}
USUAL = {InputQuantity.AIR_HU: -1000.0, InputQuantity.FAT_HU: -105.0, InputQuantity.NOISE_HU: 15.0}


def example(_tmp_path):
    return QualityLimits(input=LIMITS), {"input_quantities": USUAL}


def test_a_usual_scan_passes():
    assert check_applicability(USUAL, LIMITS).verdict is Verdict.PASS


def test_each_value_outside_of_its_range_is_a_finding():
    report = check_applicability(USUAL | {InputQuantity.AIR_HU: -900.0, InputQuantity.NOISE_HU: 55.0}, LIMITS)

    assert [(finding.code, finding.severity) for finding in report.findings] == [
        ("air_hu", Severity.HOLD),
        ("noise_hu", Severity.CAUTION),
    ]


@pytest.mark.parametrize(
    ("quantity", "verdict"), [(InputQuantity.FAT_HU, Verdict.HOLD), (InputQuantity.AIR_HU, Verdict.CAUTION)]
)
def test_a_scale_of_hu_that_fat_does_not_show_holds_the_numbers_back_and_one_without_air_is_a_caution(
    quantity, verdict
):
    report = check_applicability(USUAL | {quantity: None}, LIMITS)

    assert report.verdict is verdict
    assert report.findings[0].code == f"{quantity}_not_found"


def test_fat_that_lean_legs_do_not_show_is_not_checked_where_air_and_muscle_tell_the_scale():
    limits = LIMITS | {InputQuantity.MUSCLE_HU: Range(usual=(15, 90), possible=(-10, 120))}

    lean = check_applicability(USUAL | {InputQuantity.FAT_HU: None, InputQuantity.MUSCLE_HU: 55.0}, limits)
    unknown = check_applicability(USUAL | {InputQuantity.FAT_HU: None, InputQuantity.MUSCLE_HU: None}, limits)

    assert (lean.verdict, unknown.verdict) == (Verdict.PASS, Verdict.HOLD)
    assert lean.not_checked[0].startswith("Not checked: the fat under the skin")


def test_legs_within_the_limits_of_the_leg_app_pass_them():
    limits = read_manifest(shared_folder("apps") / "ct_leg_tissue" / "app.yaml").mapnode.quality.input

    report = check_applicability(measure_input(make_legs(noise_hu=15, table=True)), limits)

    assert [finding.message for finding in report.findings] == []


def test_what_else_cannot_be_measured_is_named_as_not_checked():
    report = check_applicability(USUAL | {InputQuantity.NOISE_HU: None}, LIMITS)

    assert report.verdict is Verdict.PASS
    assert report.not_checked == ("Not checked: the noise; too little soft tissue was found.",)


def test_what_has_no_limit_is_not_judged():
    assert check_applicability(dict.fromkeys(InputQuantity), {}).findings == ()


def test_every_quantity_can_be_told():
    assert set(SENTENCES) == set(InputQuantity)


def test_a_body_within_the_limits_of_the_trunk_app_passes_them():
    limits = read_manifest(shared_folder("apps") / "ct_body_composition" / "app.yaml").mapnode.quality.input

    report = check_applicability(measure_input(make_body(noise_hu=15, table=True)), limits)

    assert [finding.message for finding in report.findings] == []
