"""Degradations do what their numbers say."""

import math

import numpy as np
import pytest

from mapnode.phantom.degrade import FWHM_OF_SD, Implant, add_metal, add_noise, blur, thicken, tilt_gantry
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom


def make_affine(spacing_mm=(2.0, 1.5, 1.0), origin_mm=(-30.0, -40.0, 5.0)) -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = origin_mm
    affine[3, 3] = 1
    return affine


def make_soft(shape=(20, 50, 60), hu=50) -> np.ndarray:
    return np.full(shape, hu, dtype=np.int16)


def test_noise_has_the_stated_standard_deviation_and_no_bias():
    noisy = add_noise(make_soft(), 20.0, seed=1)

    assert noisy.mean() == pytest.approx(50, abs=0.5)
    # Rounding to whole HU adds a twelfth of a square.
    assert noisy.std() == pytest.approx(math.sqrt(20**2 + 1 / 12), rel=0.01)


def test_equal_seeds_give_equal_noise():
    assert np.array_equal(add_noise(make_soft(), 20.0, seed=3), add_noise(make_soft(), 20.0, seed=3))
    assert not np.array_equal(add_noise(make_soft(), 20.0, seed=3), add_noise(make_soft(), 20.0, seed=4))


def test_noise_stays_within_what_a_scanner_stores():
    noisy = add_noise(make_soft(hu=-1024), 200.0, seed=1)

    assert noisy.min() == -1024


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_edge_blurred_by_a_gaussian_is_its_error_function(axis):
    spacing_mm = (2.0, 1.5, 1.0)
    step = make_soft((40, 40, 40), 0)
    np.moveaxis(step, axis, 0)[20:] = 1000

    profile = np.moveaxis(blur(step, spacing_mm, 6.0), axis, 0)[:, 20, 20]

    distance = (np.arange(40) - 19.5) * spacing_mm[axis]
    expected = [500 * (1 + math.erf(x * FWHM_OF_SD / 6.0 / math.sqrt(2))) for x in distance]
    assert profile == pytest.approx(expected, abs=8)


def test_thick_slices_are_means_and_lie_in_the_middle_of_the_thin_ones():
    thin = np.arange(7, dtype=np.int16)[:, None, None] * 10 * np.ones((1, 3, 4), dtype=np.int16)
    affine = make_affine()

    thick, thick_affine = thicken(thin, affine, 3)

    assert thick[:, 0, 0].tolist() == [10, 40]
    assert thick_affine @ [0, 0, 0, 1] == pytest.approx(affine @ [1, 0, 0, 1])
    assert thick_affine @ [1, 2, 3, 1] == pytest.approx(affine @ [4, 2, 3, 1])


@pytest.mark.parametrize("slices", [0, 8])
def test_more_slices_than_there_are_cannot_be_averaged(slices):
    with pytest.raises(ValueError, match="average fewer"):
        thicken(make_soft((7, 3, 4)), make_affine(), slices)


def test_tilted_planes_see_the_value_at_their_own_place():
    # A field that is linear in x, y and z is reproduced exactly by linear interpolation, wherever it is sampled.
    affine = make_affine()
    slices, rows, columns = np.indices((40, 20, 10))
    z, y, x = (
        affine[lps, 3] + affine[lps, axis] * at for axis, (lps, at) in enumerate(((2, slices), (1, rows), (0, columns)))
    )
    field = np.rint(10 * z + 4 * y - 3 * x).astype(np.int16)

    tilted, tilted_affine = tilt_gantry(field, affine, 15.0)

    positions = np.stack([slices, rows, columns, np.ones_like(rows)], axis=-1) @ tilted_affine.T
    expected = 10 * positions[..., 2] + 4 * positions[..., 1] - 3 * positions[..., 0]
    assert np.abs(tilted - expected)[5:-5].max() <= 1.5


def test_tilted_affine_keeps_spacing_and_leans_by_the_angle():
    affine = make_affine()

    _, tilted = tilt_gantry(make_soft(), affine, -15.0)

    assert np.linalg.norm(tilted[:3, :3], axis=0) == pytest.approx((2.0, 1.5, 1.0))
    normal = np.cross(tilted[:3, 2], tilted[:3, 1])
    cosine = normal @ tilted[:3, 0] / np.linalg.norm(normal) / 2.0
    assert math.degrees(math.acos(cosine)) == pytest.approx(15)


def test_metal_has_the_volume_of_its_cylinder():
    affine = make_affine((1.0, 0.5, 0.5), (-30.0, -20.0, 0.0))
    implant = Implant((0.0, 0.0, 10.0), (0.0, 0.0, 40.0), radius_mm=8.0)

    out = add_metal(make_soft((60, 80, 120)), affine, implant, streaks=False)

    volume = (out == 3071).sum() * 0.25
    assert volume == pytest.approx(math.pi * 64 * 30, rel=0.04)
    assert set(np.unique(out)) == {50, 3071}


def test_streaks_are_bright_and_dark_fall_with_distance_and_stay_in_the_slices_of_the_metal():
    affine = make_affine((1.0, 1.0, 1.0), (-60.0, -60.0, 0.0))
    implant = Implant((0.0, 0.0, 10.0), (0.0, 0.0, 20.0), radius_mm=6.0, streak_hu=400.0)

    out = add_metal(make_soft((30, 121, 121)), affine, implant)

    near, far = out[15, 60, 68], out[15, 60, 110]
    assert near - 50 == pytest.approx(400 * 6 / 8, abs=1)
    assert far - 50 == pytest.approx(400 * 6 / 50, abs=1)
    assert out[15].min() < 50 - 200
    assert np.all(out[5] == 50)


@pytest.mark.parametrize("changes", [{"radius_mm": 0.0}, {"end_mm": (0.0, 0.0, 0.0)}])
def test_implant_without_extent_is_refused(changes):
    with pytest.raises(ValueError, match="cylinder"):
        Implant(**{"start_mm": (0.0, 0.0, 0.0), "end_mm": (0.0, 0.0, 9.0), **changes})


def test_degradations_leave_their_input_unchanged():
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=4, spacing_mm=(5.0, 4.0, 4.0)))
    before = phantom.hu.copy()

    add_noise(phantom.hu, 10.0, 0)
    blur(phantom.hu, (5.0, 4.0, 4.0), 3.0)
    add_metal(phantom.hu, phantom.affine_lps, Implant((0.0, 0.0, -5.0), (0.0, 0.0, 5.0)))
    tilt_gantry(phantom.hu, phantom.affine_lps, 10.0)
    thicken(phantom.hu, phantom.affine_lps, 2)

    assert np.array_equal(phantom.hu, before)
