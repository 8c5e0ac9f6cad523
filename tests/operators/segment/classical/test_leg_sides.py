"""Leg sides: built legs of two blocks with bones."""

import numpy as np
import pytest

from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.leg_sides import LEFT, RIGHT, LegSegmentationError, find_midline, find_sides

PARAMETERS = LegParameters()
SPACING_MM = (5.0, 3.0, 3.0)


def make_legs(*, bridge=False, table=False) -> np.ndarray:
    """Two blocks of muscle with a bone each, the left one at higher columns; 20 slices of 40 x 80."""
    hu = np.full((20, 40, 80), -1000, dtype=np.float32)
    for first in (8, 46):
        hu[:, 8:30, first : first + 26] = 50
        hu[:, 16:21, first + 10 : first + 15] = 700
    if bridge:
        hu[10:, 16:22, 34:46] = -100
    if table:
        hu[:, 34:36] = 200
    return hu


def test_left_leg_is_at_higher_columns():
    sides = find_sides(make_legs(), SPACING_MM, PARAMETERS).sides

    assert set(np.unique(sides[:, :, :40])) == {0, RIGHT}
    assert set(np.unique(sides[:, :, 40:])) == {0, LEFT}


def test_legs_that_touch_are_parted_where_they_touch():
    sides = find_sides(make_legs(bridge=True), SPACING_MM, PARAMETERS).sides

    assert set(np.unique(sides[15, :, 8:34])) - {0} == {RIGHT}
    assert set(np.unique(sides[15, :, 46:72])) - {0} == {LEFT}


def test_legs_that_touch_are_parted_where_only_one_has_a_bone():
    # One femur ends below the other.
    hu = make_legs(bridge=True)
    hu[17:, :, :40][hu[17:, :, :40] > 150] = 50

    sides = find_sides(hu, SPACING_MM, PARAMETERS).sides

    assert set(np.unique(sides[18, :, 8:34])) - {0} == {RIGHT}
    assert set(np.unique(sides[18, :, 46:72])) - {0} == {LEFT}


def test_table_is_no_leg_even_a_bright_one():
    with_table, without = (find_sides(make_legs(table=table), SPACING_MM, PARAMETERS).sides for table in (True, False))

    # A table of 200 HU holds what looks like bone, but is too thin to stay.
    assert np.array_equal(with_table, without)


def test_midline_is_the_middle_of_the_gap_and_runs_on_where_there_is_none():
    hu = make_legs()
    hu[5:8, 16:21, 20:60] = 700
    body, bone = hu > -500, hu > 150

    midline = find_midline(body, bone, SPACING_MM, PARAMETERS)

    assert midline == pytest.approx(np.full(20, 39.5), abs=1.5)


def test_bones_on_one_side_only_are_refused():
    hu = make_legs()
    hu[:, :, 40:] = -1000

    with pytest.raises(LegSegmentationError, match="found in 0 of 20 slices"):
        find_sides(hu, SPACING_MM, PARAMETERS)


def make_crossed_legs(*, from_slice: int) -> np.ndarray:
    """The legs as two tubes, 30 slices: below `from_slice` the shanks cross, one in front of the other."""
    hu = np.full((30, 60, 100), -1000, dtype=np.float32)
    for side, row in ((-1, 18), (1, 40)):
        for index, plane in enumerate(hu):
            below = max(0, from_slice - index)
            column = 50 + side * round(20 - 2.5 * below)
            for half, value in ((9, 50), (3, 700)):
                plane[row - half : row + half, column - half : column + half] = value
    return hu


def test_legs_that_cross_are_refused_because_left_and_right_would_be_exchanged():
    with pytest.raises(LegSegmentationError, match="The legs cross"):
        find_sides(make_crossed_legs(from_slice=14), SPACING_MM, PARAMETERS)


def test_legs_of_which_only_the_ankles_draw_near_are_no_crossed_ones():
    assert set(np.unique(find_sides(make_crossed_legs(from_slice=4), SPACING_MM, PARAMETERS).sides)) == {0, LEFT, RIGHT}


def test_gap_beside_the_middle_is_refused():
    # A spine in the middle and a rib at one side.
    body = np.zeros((12, 40, 80), np.bool_)
    body[:, 5:35, 5:75] = True
    bone = np.zeros_like(body)
    bone[:, 25:30, 38:44] = True
    bone[:, 10:20, 70:73] = True

    with pytest.raises(LegSegmentationError, match="beside the middle"):
        find_midline(body, bone, SPACING_MM, PARAMETERS)
