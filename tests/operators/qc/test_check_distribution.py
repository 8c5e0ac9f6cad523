"""CheckDistribution: unlike the site's scans is a caution, and no reference set is said."""

import dataclasses

import numpy as np
import pytest

from operators.core.quality import Severity, Verdict
from operators.core.reference_set import build_reference_set
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_segments import measure_segments
from operators.qc.check_distribution import CheckDistribution, DistributionParameters, check_distribution
from operators.qc.measure_input import measure_input
from operators.runtime.sdk import Application
from tests.operators.qc.bodies import make_body
from tests.operators.qc.test_features import labelled
from tests.segmented import make_study, read

USUAL = {"noise_hu": 15.0, "fat_share": 0.3, "texture_4mm": None}


def example(_tmp_path):
    volume = make_body(slices=3)
    label_map = labelled(volume)
    return DistributionParameters("app", "1.0.0"), {
        "volume": volume,
        "label_map": label_map,
        "measurements": measure_segments(volume, label_map),
        "input_quantities": measure_input(volume),
    }


@pytest.fixture
def reference(tmp_path):
    rng = np.random.default_rng(0)
    scans = [USUAL | {"noise_hu": rng.normal(15, 2), "fat_share": rng.normal(0.3, 0.05)} for _ in range(40)]
    path = tmp_path / "app.json"
    path.write_text(build_reference_set("app", "1.0.0", scans, 99).model_dump_json())
    return path


def test_a_scan_like_the_others_passes(reference):
    report = check_distribution(USUAL, DistributionParameters("app", "1.0.0", reference))

    assert (report.verdict, report.not_checked, report.features) == (Verdict.PASS, (), USUAL)


def test_a_scan_unlike_the_others_asks_for_caution_and_says_in_what(reference):
    report = check_distribution(USUAL | {"noise_hu": 60.0}, DistributionParameters("app", "1.0.0", reference))

    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("unlike_reference_scans", Severity.CAUTION)
    assert "40 reference scans" in finding.message
    assert "It differs most in noise_hu (+" in finding.message


def test_without_a_reference_set_nothing_passes_in_silence():
    report = check_distribution(USUAL, DistributionParameters("app", "1.0.0"))

    assert report.findings == ()
    assert report.features == USUAL
    (sentence,) = report.not_checked
    assert "mapnode qc reference" in sentence


@pytest.mark.parametrize(("app", "version"), [("other", "1.0.0"), ("app", "1.1.0")])
def test_a_set_of_another_app_or_version_is_not_used(reference, app, version):
    report = check_distribution(USUAL | {"noise_hu": 60.0}, DistributionParameters(app, version, reference))

    assert report.findings == ()
    assert "the reference set is of app 1.0.0" in report.not_checked[0]


def test_what_no_reference_scan_shows_is_said_and_in_no_distance(reference):
    report = check_distribution(
        USUAL | {"liver_share": 0.9, "spleen_share": None}, DistributionParameters("app", "1.0.0", reference)
    )

    assert report.findings == ()
    assert report.not_checked == ("Not checked: liver_share; no reference scan of this site shows them.",)


def test_what_all_reference_scans_show_and_this_one_does_not_is_said(reference):
    parameters = DistributionParameters("app", "1.0.0", reference)

    report = check_distribution({"noise_hu": 15.0, "texture_4mm": 3.0}, parameters)

    assert report.findings == ()
    assert report.not_checked == (
        "Not checked: texture_4mm; no reference scan of this site shows them.",
        "Not checked: fat_share; all reference scans of this site show them, and this scan does not.",
    )


def test_regions_that_somebody_else_segmented_are_compared_too(tmp_path):
    volume, regions = read(make_study(tmp_path / "study"))
    volume = dataclasses.replace(volume, array=np.where(regions.inside, 70, -500).astype(np.int16))
    check = CheckDistribution(Application(), DistributionParameters("app", "1.0.0"), without=["input_quantities"])

    report = check.process(volume, regions, measure_intensities(volume, regions))

    assert check.ports == ("volume", "label_map", "measurements")
    assert {report.features[f"hu_p{percentile}"] for percentile in (5, 50, 95)} == {70}
    assert report.features["kidney_mean_hu"] == 70
    assert report.features["noise_hu"] is None


def test_a_damaged_set_is_said(tmp_path):
    (tmp_path / "app.json").write_text("{}")

    report = check_distribution(USUAL, DistributionParameters("app", "1.0.0", tmp_path / "app.json"))

    assert "is no reference set" in report.not_checked[0]
