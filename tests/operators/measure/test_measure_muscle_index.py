"""MeasureMuscleIndex: area over height squared, and never a number where either is not known."""

import pytest

from operators.core.levels import L3
from operators.core.measurements import KeySlice, Measurement, NotComputed
from operators.measure.measure_key_slices import AREA
from operators.measure.measure_muscle_index import measure_muscle_index
from operators.measure.measure_segments import MEAN_HU
from operators.segment.trunk_tissues import TRUNK_SEGMENTS
from tests.builders import make_label_map, make_volume

AREA_CM2 = 153.0


def make_inputs(height="1.70", *, area_cm2=AREA_CM2, landmarks=None, edit=None):
    def state_height(header, _index):
        header.PatientSize = height

    volume = make_volume(edit=edit or state_height)
    label_map = make_label_map(volume, segments=TRUNK_SEGMENTS, landmarks={L3: 4} if landmarks is None else landmarks)
    rows = [KeySlice("skeletal_muscle", "largest_area", 2, "1.2.2", (Measurement(AREA, 999.0),))]
    if area_cm2 is not None:
        values = (Measurement(AREA, area_cm2), Measurement(MEAN_HU, 40.0))
        rows.append(KeySlice("skeletal_muscle", L3, 4, "1.2.4", values))
    return {"volume": volume, "label_map": label_map, "key_slices": tuple(rows)}


def example(_tmp_path):
    return None, make_inputs()


def test_index_is_the_area_at_l3_over_the_square_of_the_height_in_metres():
    index = measure_muscle_index(**make_inputs("1.70"))

    assert index.value == pytest.approx(153.0 / (1.7 * 1.7))
    assert (index.quantity.unit, index.quantity.ucum.value) == ("cm2/m2", "cm2/m2")
    assert (index.quantity.concept.value, index.quantity.concept.scheme_designator) == (
        "MUSCLE-INDEX",
        "99MAPNODE",
    )
    assert index.level == L3
    assert "(0010,1020)" in index.definition


@pytest.mark.parametrize("height", ["0.5", "2.5"])
def test_the_smallest_and_the_tallest_have_an_index(height):
    assert measure_muscle_index(**make_inputs(height)).value == pytest.approx(153.0 / float(height) ** 2)


@pytest.mark.parametrize("height", ["170", "1700", "0.49", "2.51", "0", "-1.7", ["1.7", "1.7"]])
def test_a_height_that_no_person_has_in_metres_gives_no_number(height):
    index = measure_muscle_index(**make_inputs(height))

    assert (index.value, index.reason_code) == (None, NotComputed.IMPLAUSIBLE_HEIGHT)
    assert "metres" in index.reason


@pytest.mark.parametrize("height", [None, ""])
def test_without_a_height_there_is_no_number(height):
    index = measure_muscle_index(**make_inputs(height))

    assert (index.value, index.reason_code) == (None, NotComputed.NO_HEIGHT)


def test_images_that_disagree_on_the_height_give_no_number():
    def edit(header, index):
        header.PatientSize = "1.70" if index else "1.71"

    index = measure_muscle_index(**make_inputs(edit=edit))

    assert (index.value, index.reason_code) == (None, NotComputed.IMPLAUSIBLE_HEIGHT)
    assert "not the same" in index.reason


def test_without_l3_there_is_no_number_whatever_other_slices_hold():
    index = measure_muscle_index(**make_inputs(landmarks={"vertebra_l2": 4}))

    assert (index.value, index.reason_code) == (None, NotComputed.NO_LEVEL)


def test_without_muscle_at_l3_there_is_no_number():
    index = measure_muscle_index(**make_inputs(area_cm2=None))

    assert (index.value, index.reason_code) == (None, NotComputed.NOT_FOUND)


def test_no_reason_quotes_what_the_header_says():
    assert "170" not in measure_muscle_index(**make_inputs("170")).reason
