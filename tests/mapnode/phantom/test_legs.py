"""Leg phantom: its truth agrees with the voxels, its anatomy with legs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from mapnode.phantom.leg_anatomy import LegTissue
from mapnode.phantom.legs import (
    SIDES,
    TISSUES,
    LegPhantom,
    LegPhantomParameters,
    build_leg_phantom,
    leg_truth,
    random_leg_parameters,
)

THIGH = LegPhantomParameters(slices=10, spacing_mm=(3.0, 1.0, 1.0), centre_z_mm=220.0)


def voxels(phantom: LegPhantom, name: str, side: str) -> np.ndarray:
    return (phantom.truth_labels == LegTissue[name.upper()]) & (phantom.truth_side == SIDES[side])


@pytest.fixture(scope="module")
def thigh() -> LegPhantom:
    return build_leg_phantom(THIGH)


@pytest.fixture(scope="module")
def whole() -> LegPhantom:
    return build_leg_phantom(LegPhantomParameters(slices=162, spacing_mm=(5.0, 3.0, 3.0), centre_z_mm=45.0))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TISSUES)
def test_truth_is_what_fine_voxels_count(thigh, name, side):
    truth = leg_truth(THIGH)
    areas_cm2 = voxels(thigh, name, side).sum(axis=(1, 2)) / 100

    assert truth.area_cm2[f"{name}_{side}"] == pytest.approx(areas_cm2, rel=0.02)
    assert truth.volume_ml[f"{name}_{side}"] == pytest.approx(areas_cm2.sum() * 0.3, rel=0.01)
    assert truth.mean_hu[f"{name}_{side}"] == pytest.approx(thigh.hu[voxels(thigh, name, side)].mean(), abs=3)


def test_truth_depends_neither_on_the_grid_nor_on_roll_and_table():
    other = replace(THIGH, spacing_mm=(3.0, 4.0, 4.0), roll_deg=20.0, table=False, field_mm=(400.0, 600.0))

    assert leg_truth(other).volume_ml == leg_truth(THIGH).volume_ml


def test_rolled_legs_keep_their_areas():
    rolled = build_leg_phantom(replace(THIGH, slices=2, roll_deg=17.0))
    truth = leg_truth(replace(THIGH, slices=2))

    for name in TISSUES:
        area_cm2 = voxels(rolled, name, "left")[0].sum() / 100
        assert area_cm2 == pytest.approx(truth.area_cm2[f"{name}_left"][0], rel=0.02)


def test_bone_lies_inside_the_fascia_everywhere(whole):
    bone = whole.truth_labels == LegTissue.BONE
    around = ndimage.binary_dilation(bone, np.ones((1, 3, 3))) & ~bone

    met = set(np.unique(whole.truth_labels[around]))

    assert met <= {LegTissue.SKELETAL_MUSCLE, LegTissue.INTERMUSCULAR_FAT, LegTissue.OTHER}


def test_skin_closes_each_leg(thigh):
    for plane in thigh.truth_labels:
        inside = plane > 0
        edge = inside & ~ndimage.binary_erosion(inside)
        assert set(np.unique(plane[edge])) <= {LegTissue.OTHER}


@pytest.mark.parametrize("side", SIDES)
def test_femur_ends_where_the_parameters_say(side):
    parameters = LegPhantomParameters(slices=40, spacing_mm=(1.0, 4.0, 4.0), centre_z_mm=440.0, right_shift_mm=5.0)
    low, high = parameters.femur_z_mm(side)
    knee = replace(parameters, slices=12, spacing_mm=(1.0, 1.0, 1.0), centre_z_mm=low - 2.0)

    top = parameters.centres_z_mm[voxels(build_leg_phantom(parameters), "bone", side).any(axis=(1, 2))].max()
    bones = [ndimage.label(plane)[1] for plane in voxels(build_leg_phantom(knee), "bone", side)]

    assert top == pytest.approx(high, abs=1.5)
    # Tibia and patella, then for 4 mm the patella alone, then two condyles as well.
    assert bones == [2] * 4 + [1] * 4 + [3] * 4


def test_left_leg_lies_at_positive_x_and_the_fibula_outside_the_tibia(whole):
    _, _, columns = np.nonzero(whole.truth_side == 1)

    assert (whole.affine_lps[0, 3] + whole.affine_lps[0, 2] * columns).min() > 0
    shank = whole.truth_labels[20] == LegTissue.BONE
    labels, count = ndimage.label(shank)
    sizes = np.bincount(labels.ravel())[1:]
    x = [whole.affine_lps[0, 3] + 3 * ndimage.center_of_mass(labels == index)[1] for index in range(1, count + 1)]
    assert count == 4
    fibulae = sorted(np.argsort(sizes)[:2], key=lambda index: x[index])
    tibiae = sorted(np.argsort(sizes)[2:], key=lambda index: x[index])
    assert x[fibulae[0]] < x[tibiae[0]] < 0 < x[tibiae[1]] < x[fibulae[1]]


def test_pressed_thighs_touch_and_keep_skin_between_them():
    pressed = build_leg_phantom(replace(THIGH, gap_mm=-10.0, centre_z_mm=420.0, slices=1))

    _, count = ndimage.label(pressed.truth_labels[0] > 0)
    middle = np.abs(pressed.affine_lps[0, 3] + pressed.affine_lps[0, 2] * np.arange(pressed.hu.shape[2])) < 2

    assert count == 1
    assert set(np.unique(pressed.truth_labels[0][:, middle])) == {LegTissue.OUTSIDE, LegTissue.OTHER}


@pytest.mark.parametrize("share", [0.03, 0.1, 0.18])
def test_fat_planes_make_about_the_wanted_share(share):
    parameters = replace(THIGH, left=replace(THIGH.left, fat_share=share), slices=1)

    truth = leg_truth(parameters).volume_ml

    fat, muscle = truth["intermuscular_fat_left"], truth["skeletal_muscle_left"]
    assert fat / (fat + muscle) == pytest.approx(share, rel=0.25)


def test_equal_states_of_chance_give_equal_legs():
    first, second = (random_leg_parameters(np.random.default_rng(7), 5.0) for _ in range(2))

    assert first == second
    assert first != random_leg_parameters(np.random.default_rng(8), 5.0)


@pytest.mark.parametrize("seed", range(20))
def test_random_stacks_hold_both_femora_and_legs_lie_inside_the_field(seed):
    parameters = random_leg_parameters(np.random.default_rng(seed), 5.0, pixel_mm=5.0)
    low, high = parameters.centres_z_mm[[0, -1]]

    for side in SIDES:
        femur_low, femur_high = parameters.femur_z_mm(side)
        assert low < femur_low - 30
        assert femur_high + 5 < high
    widest = int(np.argmin(np.abs(parameters.centres_z_mm - parameters.left.femur_z_mm[1])))
    one = replace(parameters, slices=1, centre_z_mm=float(parameters.centres_z_mm[widest]))
    inside = build_leg_phantom(one).truth_side[0] != 0
    assert not inside[[0, -1]].any()
    assert not inside[:, [0, -1]].any()


@pytest.mark.parametrize("changes", [{"slices": 0}, {"spacing_mm": (0.0, 1.0, 1.0)}])
def test_stack_without_extent_is_refused(changes):
    with pytest.raises(ValueError, match="positive lengths"):
        LegPhantomParameters(**changes)
