"""Midline: half of the bone on either side, whatever the order in which pixels are stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.errors import GeometryError
from operators.measure.midline import left_of, midlines, pixels_by_column
from tests.builders import AXIAL, AXIAL_FEET, CORONAL, make_affine, make_label_map, make_volume

counts = st.lists(st.integers(0, 9), min_size=1, max_size=12).map(np.array)


@given(counts)
def test_half_of_the_bone_lies_left_of_its_own_midline(bone):
    (midline,) = midlines(bone[None], 3.0)

    if bone.any():
        assert left_of(bone, midline) == pytest.approx(bone.sum() / 2)
    else:
        assert np.isnan(midline)


@given(counts)
def test_a_mirrored_patient_has_the_mirrored_midline(bone):
    (midline,), (mirrored,) = midlines(bone[None], 3.0), midlines(bone[None, ::-1], 3.0)

    if bone.any():
        assert mirrored == pytest.approx(len(bone) - midline)


@given(counts, st.floats(0, 12))
def test_left_and_right_add_up_and_change_sides_in_a_mirror(pixels, midline):
    midline = min(midline, len(pixels))

    left, right = left_of(pixels, midline), left_of(pixels[::-1], len(pixels) - midline)

    assert left + right == pytest.approx(pixels.sum())


@given(counts, st.integers(2, 4))
def test_finer_pixels_give_the_same_place(bone, factor):
    (coarse,) = midlines(bone[None], 3.0)
    (fine,) = midlines(np.repeat(bone, factor)[None], 3.0)

    if bone.any():
        assert fine / factor == pytest.approx(coarse)


def test_an_arm_moves_the_midline_by_millimetres_and_not_by_half_its_distance():
    spine, arm = np.zeros(120, int), np.zeros(120, int)
    spine[50:70], arm[110:114] = 30, 30

    (alone,), (with_arm,) = midlines(spine[None], 3.0), midlines((spine + arm)[None], 3.0)

    assert alone == 60
    assert with_arm == 62


def test_a_slice_through_a_disc_takes_the_bone_above_and_below():
    bone = np.zeros((9, 20), int)
    bone[[1, 2, 6, 7], 9:11] = 5

    assert midlines(bone, 5.0).tolist() == [10.0] * 9
    assert np.isnan(midlines(np.vstack([bone, np.zeros((9, 20), int)]), 5.0)[-1])


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET])
@pytest.mark.parametrize("flips", [(), (0,), (2,), (1, 2)])
def test_columns_run_to_the_patients_left_and_slices_as_stored(directions, flips):
    affine = make_affine(directions, (3.0, 0.8, 0.6))
    labels = np.zeros((4, 10, 12), np.uint8)
    lps_x = [float((affine @ (0, 0, column, 1))[0]) for column in (1, 10)]
    labels[1, 2:5, 1] = 3  # three pixels in slice 1, at the column's end of the lower x or the higher one
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (labels.shape[axis] - 1)
        affine[:3, axis] *= -1
    volume = make_volume(np.zeros(labels.shape, np.int16), affine)
    label_map = make_label_map(volume, np.ascontiguousarray(np.flip(labels, flips)))

    (found,) = pixels_by_column(label_map, [label_map.segment("fat")])

    expected = np.zeros((4, 12), int)
    expected[1 if 0 not in flips else 2, 1 if lps_x[0] < lps_x[1] else 10] = 3
    assert found.tolist() == expected.tolist()


def test_slices_that_are_not_axial_have_no_sides():
    volume = make_volume(np.zeros((4, 10, 12), np.int16), make_affine(CORONAL))

    with pytest.raises(GeometryError, match="axial"):
        pixels_by_column(make_label_map(volume, np.zeros((4, 10, 12), np.uint8)), [])
