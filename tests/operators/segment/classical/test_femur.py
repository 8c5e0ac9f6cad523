"""Femur: built bones of one leg, whose ends are known."""

import numpy as np
import pytest

from operators.segment.classical.femur import Femur, find_femur, find_knee, find_pelvis
from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.leg_sides import LegSides

PARAMETERS = LegParameters()
SPACING_MM = (5.0, 3.0, 3.0)
KNEE = 30


def disc(mask, first, end, side, column=20):
    half = side // 2
    mask[first:end, 20 - half : 20 + half + 1, column - half : column + half + 1] = True


def make_leg(top=118, slices=125) -> np.ndarray:
    """Tibia, a joint of two slices with a patella, femur with condyles below and a round head above."""
    bone = np.zeros((slices, 40, 40), dtype=np.bool_)
    disc(bone, 0, 20, 9)
    disc(bone, 20, KNEE, 22)
    bone[KNEE - 2 : KNEE + 4, 6:9, 17:23] = True
    disc(bone, KNEE + 2, KNEE + 12, 24)
    disc(bone, KNEE + 12, top - 10, 9)
    disc(bone, top - 10, top, 13)
    return bone


def test_knee_is_the_middle_of_the_joint_space():
    assert find_knee(make_leg(), SPACING_MM, PARAMETERS) == KNEE + 0.5


@pytest.mark.parametrize("part", [slice(None, 25), slice(45, None)])
def test_part_of_a_leg_without_a_knee_has_none(part):
    assert find_knee(make_leg()[part], SPACING_MM, PARAMETERS) is None


def test_femur_runs_from_the_knee_to_the_top_of_its_head():
    femur = find_femur(make_leg(), KNEE + 0.5, SPACING_MM, PARAMETERS)

    assert femur == Femur(KNEE + 0.5, 117.5)


@pytest.mark.parametrize(
    ("top", "slices"),
    [(125, 125), (88, 125), (150, 160)],
    ids=["it leaves the field", "shorter than a femur", "longer than a femur"],
)
def test_bone_that_cannot_be_a_whole_femur_is_none(top, slices):
    assert find_femur(make_leg(top, slices), KNEE + 0.5, SPACING_MM, PARAMETERS) is None


def test_bone_that_ends_in_a_strip_ends_in_no_head():
    bone = make_leg()
    bone[108:118] = False
    bone[108:118, 19:22, 5:35] = True

    assert find_femur(bone, KNEE + 0.5, SPACING_MM, PARAMETERS) is None


def test_quarter_of_the_way_is_a_quarter_of_the_length_from_the_knee():
    assert Femur(10.0, 50.0).at(0.25) == 20.0


def make_sides(bone) -> LegSides:
    both = np.concatenate([bone, bone[:, :, ::-1]], axis=2)
    return LegSides(np.ones(both.shape, np.uint8), both, np.full(both.shape[0], 39.5))


def test_legs_alone_have_no_pelvis():
    assert find_pelvis(make_sides(make_leg()), KNEE, SPACING_MM, PARAMETERS) is None


def test_second_bone_beside_the_upper_femur_is_the_pelvis():
    bone = make_leg()
    disc(bone, 100, 118, 5, column=34)

    assert find_pelvis(make_sides(bone), KNEE, SPACING_MM, PARAMETERS) == 100


def test_bone_at_the_midline_is_the_pelvis():
    bone = make_leg()
    bone[104:118, 20:24, 28:] = True

    assert find_pelvis(make_sides(bone), KNEE, SPACING_MM, PARAMETERS) == 104


def test_bone_at_the_midline_below_the_thigh_is_not():
    bone = make_leg()
    bone[24:28, 18:24, 30:] = True

    assert find_pelvis(make_sides(bone), KNEE, SPACING_MM, PARAMETERS) is None
