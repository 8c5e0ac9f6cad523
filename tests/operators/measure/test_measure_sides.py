"""MeasureSides: volumes left and right of the bone's middle, which add up."""

import numpy as np
import pytest

from operators.core import codes
from operators.core.measurements import NotComputed
from operators.measure.measure_sides import measure_sides
from operators.measure.measure_slice_areas import SliceAreasParameters, measure_slice_areas
from tests.builders import make_affine, make_label_map, make_volume

PARAMETERS = SliceAreasParameters(("fat",))
SHAPE, VOXEL_ML = (5, 10, 20), 3.0 * 0.8 * 0.6 / 1000


def make_inputs(labels, parameters=PARAMETERS, flips=()):
    affine = make_affine(spacing_mm=(3.0, 0.8, 0.6))
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (SHAPE[axis] - 1)
        affine[:3, axis] *= -1
    volume = make_volume(np.zeros(SHAPE, np.int16), affine)
    label_map = make_label_map(volume, np.ascontiguousarray(np.flip(labels, flips)))
    return {
        "volume": volume,
        "label_map": label_map,
        "slice_areas": measure_slice_areas(volume, label_map, parameters),
    }


def trunk():
    """Bone in the middle; on the patient's left three times as much fat as on the right."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, 4:6, 9:11] = 2
    labels[1:4, 2:8, 12:18] = 3
    labels[1:4, 2:8, 3:5] = 3
    return labels


def example(_tmp_path):
    return PARAMETERS, make_inputs(trunk())


def values(derived):
    return {each.quantity.name: each.value for each in derived}


@pytest.mark.parametrize("flips", [(), (0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_left_is_the_patients_left_however_pixels_are_stored(flips):
    sides = measure_sides(**make_inputs(trunk(), flips=flips), parameters=PARAMETERS)

    assert values(sides) == {
        "fat_left_ml": pytest.approx(3 * 6 * 6 * VOXEL_ML),
        "fat_right_ml": pytest.approx(3 * 6 * 2 * VOXEL_ML),
    }
    assert [each.side for each in sides] == [codes.LEFT, codes.RIGHT]


def test_fat_on_the_midline_is_parted():
    labels = trunk()
    labels[2, 8, 8:12] = 3

    left, right = values(measure_sides(**make_inputs(labels), parameters=PARAMETERS)).values()

    assert left == pytest.approx((3 * 36 + 2) * VOXEL_ML)
    assert right == pytest.approx((3 * 12 + 2) * VOXEL_ML)


def test_without_bone_no_side_is_guessed():
    labels = trunk()
    labels[labels == 2] = 0

    sides = measure_sides(**make_inputs(labels), parameters=PARAMETERS)

    assert set(values(sides).values()) == {None}
    assert {each.reason_code for each in sides} == {NotComputed.NOT_FOUND}


def test_a_segment_that_was_not_found_has_no_side():
    labels = trunk()
    labels[labels == 3] = 0

    assert set(values(measure_sides(**make_inputs(labels), parameters=PARAMETERS)).values()) == {None}


def test_a_segment_that_the_model_does_not_know_is_left_out():
    parameters = SliceAreasParameters(("intermuscular_fat",))

    assert measure_sides(**make_inputs(trunk(), parameters), parameters=parameters) == ()


def test_sides_of_each_slice_add_up_to_its_area():
    for row in make_inputs(trunk())["slice_areas"]:
        assert row.left_cm2["fat"] + row.right_cm2["fat"] == pytest.approx(row.area_cm2["fat"])


def test_nobody_who_asks_for_no_sides_gets_any():
    assert all(
        row.left_cm2 == row.right_cm2 == {} for row in make_inputs(trunk(), SliceAreasParameters())["slice_areas"]
    )
