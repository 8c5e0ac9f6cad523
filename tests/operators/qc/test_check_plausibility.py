"""CheckPlausibility: a segment that does not look like what it is called is a finding."""

import re
from pathlib import Path

import numpy as np
import pytest

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom
from operators.core.manifest import read_manifest
from operators.core.quality import Severity, Verdict
from operators.core.quality_limits import QualityLimits, Range, SegmentLimits
from operators.measure.measure_segments import measure_segments
from operators.qc.check_plausibility import SENTENCES, check_plausibility
from operators.segment import TrunkEngine
from tests.builders import make_label_map, make_measurements, make_volume

MANIFEST = Path("apps/ct_body_composition/app.yaml")
BOWEL_HU = 20
"""Of what the phantom's bowel and stomach hold."""
WIDE = Range(usual=(None, 1e6))
NUMBER = r"[0-9.]+( mm)?"


def example(_tmp_path):
    label_map = make_label_map(make_volume())
    limits = {"bone": SegmentLimits(components=Range(usual=(1, 1)), inscribed_mm=Range(usual=(None, 30)))}
    return QualityLimits(segments=limits), {"label_map": label_map, "measurements": make_measurements(label_map)}


def checked(**limits):
    """Limits of the bone; its volume is 2.25 mL, its mean -201 HU, the body's volume 1.25 mL."""
    label_map = make_label_map(make_volume())
    return check_plausibility(label_map, make_measurements(label_map), {"bone": SegmentLimits(**limits)})


def test_what_lies_within_its_limits_passes():
    limits = dict.fromkeys(SENTENCES, WIDE)

    assert checked(**limits, share_of="body", enclosed_by="body").verdict is Verdict.PASS


def test_filled_bowel_that_counts_as_bone_asks_for_caution():
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=12, spacing_mm=(5.0, 2.0, 2.0), centre_z_mm=0.0))
    limits = {
        "bone": read_manifest(MANIFEST).mapnode.quality.segments["bone"].model_copy(update={"volume_ml": None}),
    }
    found = {}
    for name, bowel_hu in (("as it is", BOWEL_HU), ("filled", 400)):
        hu = np.where(phantom.hu == BOWEL_HU, bowel_hu, phantom.hu).astype(np.int16)
        volume = make_volume(hu, phantom.affine_lps)
        label_map = TrunkEngine(version="0").segment(volume, lambda *_: None)
        measurements = measure_segments(volume, label_map)
        found[name] = [finding.code for finding in check_plausibility(label_map, measurements, limits).findings]

    assert found == {"as it is": [], "filled": ["bone_enclosed_share"]}


@pytest.mark.parametrize(
    ("limits", "code", "value"),
    [
        ({"volume_ml": Range(usual=(5, 10))}, "bone_volume_ml", "2.25 mL"),
        ({"mean_hu": Range(usual=(100, 900))}, "bone_mean_hu", "-201 HU"),
        ({"share_of": "body", "share": Range(usual=(0, 1))}, "bone_share", "1.8"),
        ({"enclosed_by": "body", "enclosed_share": Range(usual=(None, 0.5))}, "bone_enclosed_share", "1"),
        ({"components": Range(usual=(2, 2))}, "bone_components", "1"),
        ({"border_slices": Range(usual=(3, None))}, "bone_border_slices", "0"),
        ({"narrowest_mm": Range(usual=(50, None))}, "bone_narrowest_mm", NUMBER),
        ({"outline_aspect": Range(usual=(9, None))}, "bone_outline_aspect", NUMBER),
    ],
)
def test_what_lies_outside_is_a_finding_with_segment_and_value(limits, code, value):
    (finding,) = checked(**limits).findings

    assert (finding.code, finding.severity) == (code, Severity.CAUTION)
    assert finding.message.startswith("Bone: the ")
    assert re.search(f" is {value}, usual is ", finding.message)


def test_what_is_not_possible_holds_the_numbers_back():
    assert checked(volume_ml=Range(usual=(5, 10), possible=(4, None))).verdict is Verdict.HOLD


def test_a_segment_that_was_not_found_is_judged_by_its_volume_alone():
    label_map = make_label_map(make_volume())
    limits = {"muscle": SegmentLimits(volume_ml=Range(usual=(1, None)), mean_hu=WIDE, components=Range(usual=(1, 1)))}

    (finding,) = check_plausibility(label_map, make_measurements(label_map), limits).findings

    assert finding.code == "muscle_volume_ml"


def test_without_limits_nothing_is_judged():
    label_map = make_label_map(make_volume())

    assert check_plausibility(label_map, make_measurements(label_map), {}).findings == ()


def test_what_makes_a_segment_exploratory_is_said_of_every_result_and_is_no_caution():
    report = checked(exploratory="Bone is exploratory: nobody looked.")

    assert (report.verdict, report.not_checked) == (Verdict.PASS, ("Bone is exploratory: nobody looked.",))


def test_a_share_names_what_it_is_a_share_of():
    (finding,) = checked(share_of="body", share=Range(usual=(0, 1))).findings

    assert "Bone: the volume over that of Body is 1.8" in finding.message


def test_a_segment_that_the_model_does_not_know_is_named_as_not_checked():
    label_map = make_label_map(make_volume())
    limits = {"liver": SegmentLimits(volume_ml=Range(usual=(1000, None)))}

    report = check_plausibility(label_map, make_measurements(label_map), limits)

    assert report.verdict is Verdict.PASS
    assert report.not_checked == ("Not checked: whether liver looks as it should; the model does not segment it.",)


def test_a_finding_needs_no_other_segment_that_the_model_lacks():
    others = {"share_of": "lung", "share": WIDE, "enclosed_by": "lung", "enclosed_share": WIDE}

    report = checked(volume_ml=Range(usual=(5, 10)), **others)

    assert [finding.code for finding in report.findings] == ["bone_volume_ml"]
