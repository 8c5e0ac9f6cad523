"""MeasureRatios: quotients of stated numbers, or the reason why there is none."""

from dataclasses import replace

import pytest

from operators.core.measurements import KeySlice, Measurement, NotComputed
from operators.measure.measure_key_slices import AREA
from operators.measure.measure_ratios import MeasureRatios, MeasureRatiosParameters, Ratio, measure_ratio
from operators.measure.measure_segments import MEAN_HU
from operators.runtime.sdk import Application
from tests.builders import make_label_map, make_measurements, make_volume

VOLUMES = Ratio("bone_to_fat", "Bone to fat", "bone", "fat")
AREAS = Ratio("bone_to_fat_crest", "Bone to fat at the crest", "bone", "fat", level="iliac_crest")
NOT_FOUND = Ratio("muscle_to_fat", "Muscle to fat", "muscle", "fat")
"""make_label_map has no muscle."""


def area_at(role, segment, value):
    return KeySlice(segment, role, 4, "1.2.3", (Measurement(AREA, value), Measurement(MEAN_HU, 7.0)))


KEY_SLICES = (
    area_at("iliac_crest", "bone", 30.0),
    area_at("largest_area", "bone", 900.0),
    area_at("iliac_crest", "fat", 120.0),
    area_at("largest_area", "fat", 800.0),
)


def make_inputs(landmarks=None, key_slices=KEY_SLICES):
    label_map = make_label_map(make_volume(), landmarks={"iliac_crest": 4} if landmarks is None else landmarks)
    return {"label_map": label_map, "measurements": make_measurements(label_map), "key_slices": key_slices}


def example(_tmp_path):
    return MeasureRatiosParameters((VOLUMES, AREAS, NOT_FOUND)), make_inputs()


def test_volumes_are_divided_as_they_are_stated():
    derived = measure_ratio(VOLUMES, **make_inputs())

    # make_measurements gives each segment its number and a quarter as volume: bone is 2, fat 3.
    assert derived.value == pytest.approx(2.25 / 3.25, rel=1e-9)
    assert (derived.quantity.name, derived.quantity.concept.value) == ("bone_to_fat", "118586006")
    assert (derived.quantity.unit, derived.quantity.ucum.value) == ("ratio", "{ratio}")
    assert derived.segment_names == ("bone", "fat")
    assert derived.definition == "volume of Bone in the whole scan / volume of Fat in the whole scan"
    assert derived.reason == ""


def test_areas_are_those_of_the_level_not_the_largest():
    derived = measure_ratio(AREAS, **make_inputs())

    assert derived.value == 30.0 / 120.0
    assert derived.definition == "area of Bone in the slice of iliac_crest / area of Fat in the slice of iliac_crest"


def test_values_of_several_segments_add_up_to_the_denominator():
    fraction = Ratio("bone_fraction", "Bone among bone and fat", "bone", ("bone", "fat"), level="iliac_crest")

    derived = measure_ratio(fraction, **make_inputs())

    where = "in the slice of iliac_crest"
    assert derived.value == 30.0 / 150.0
    assert derived.segment_names == ("bone", "fat")
    assert derived.definition == f"area of Bone {where} / (area of Bone {where} + area of Fat {where})"


def test_absent_level_says_what_may_be_the_matter():
    ratio = Ratio("r", "R", "bone", "fat", level="iliac_crest", level_absent="the scan ends above it")

    derived = measure_ratio(ratio, **make_inputs(landmarks={}, key_slices=()))

    assert derived.reason == "iliac_crest was not found: the scan ends above it"


@pytest.mark.parametrize(
    ("ratio", "inputs", "reason"),
    [
        (NOT_FOUND, make_inputs(), "Muscle: not found in the whole scan"),
        (Ratio("r", "R", "fat", "muscle"), make_inputs(), "Muscle: not found in the whole scan"),
        (AREAS, make_inputs(landmarks={}, key_slices=()), "iliac_crest was not found"),
        (AREAS, make_inputs(key_slices=KEY_SLICES[:2]), "Fat: not found in the slice of iliac_crest"),
        (AREAS, make_inputs(key_slices=()), "Bone and Fat: not found in the slice of iliac_crest"),
    ],
    ids=["numerator", "denominator", "level", "one not in the slice", "none in the slice"],
)
def test_a_ratio_with_a_missing_part_is_not_computed_and_says_why(ratio, inputs, reason):
    derived = measure_ratio(ratio, **inputs)

    assert (derived.value, derived.reason) == (None, reason)


def test_an_unknown_segment_is_a_mistake_of_the_app():
    with pytest.raises(KeyError, match="spleen"):
        measure_ratio(Ratio("r", "R", "spleen", "fat"), **make_inputs())


def test_a_segment_is_not_divided_by_itself():
    with pytest.raises(ValueError, match="by itself"):
        Ratio("r", "R", "fat", "fat")


def test_names_of_ratios_are_unique():
    with pytest.raises(ValueError, match="unique"):
        MeasureRatiosParameters((VOLUMES, VOLUMES))


def test_a_ratio_that_is_wanted_where_its_level_is_found_is_left_out_elsewhere():
    ratios = (replace(AREAS, where_found=True), replace(AREAS, name="at_l3", level="vertebra_l3", where_found=True))

    derived = MeasureRatios(Application(), MeasureRatiosParameters(ratios)).process(**make_inputs())

    assert [(each.quantity.name, each.level) for each in derived] == [("bone_to_fat_crest", "iliac_crest")]


def test_what_others_derived_follows_the_ratios():
    other = measure_ratio(NOT_FOUND, **make_inputs())
    step = MeasureRatios(Application(), MeasureRatiosParameters((VOLUMES,)), more_inputs=["sides"])

    derived = step.process(**make_inputs(), sides=(other,))

    assert [each.quantity.name for each in derived] == ["bone_to_fat", "muscle_to_fat"]


def test_a_reason_has_a_code():
    inputs = make_inputs(landmarks={}, key_slices=())
    codes = [measure_ratio(ratio, **inputs).reason_code for ratio in (VOLUMES, AREAS, NOT_FOUND)]

    assert codes == [None, NotComputed.NO_LEVEL, NotComputed.NOT_FOUND]
