"""Pixel quantities: each is what was built into the pixels, and follows nothing else."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.core.quality_limits import InputQuantity
from operators.core.volume import Volume
from operators.qc.measure_input import measure_input
from operators.qc.outline import find_outline
from operators.qc.pixel_quantities import edge_mm, liver_ratio, metal_ml, noise_hu
from tests.operators.qc.bodies import BONE, SKIN_FAT, SOFT, make_body, make_legs, stored_as

PIXELS = (
    InputQuantity.AIR_HU,
    InputQuantity.FAT_HU,
    InputQuantity.MUSCLE_HU,
    InputQuantity.TOP_HU,
    InputQuantity.METAL_ML,
    InputQuantity.NOISE_HU,
    InputQuantity.BODY_DIAMETER_MM,
    InputQuantity.BODY_ASPECT,
    InputQuantity.LIVER_RATIO,
)


def with_values(volume, change):
    return Volume(change(volume.array.astype(np.int32)).astype(np.int16), volume.affine_lps.copy(), "1.2", ())


@settings(max_examples=15, deadline=None)
@given(shift=st.integers(-150, 150), scale=st.floats(0.8, 1.25))
def test_air_and_fat_follow_every_shift_and_scale_of_hu(shift, scale):
    volume = with_values(make_body(noise_hu=12), lambda hu: np.rint(hu * scale + shift))

    found = measure_input(volume)

    assert found[InputQuantity.AIR_HU] == pytest.approx(-1000 * scale + shift, abs=2)
    assert found[InputQuantity.FAT_HU] == pytest.approx(SKIN_FAT * scale + shift, abs=3)


@pytest.mark.parametrize("fill", [-1024, -2000])
def test_a_fill_value_outside_of_the_scanned_circle_is_no_air(fill):
    volume = make_body(noise_hu=8)
    array = volume.array.copy()
    array[:, :20] = fill

    found = measure_input(Volume(array, volume.affine_lps.copy(), "1.2", ()))

    assert found[InputQuantity.AIR_HU] == pytest.approx(-1000, abs=2)


@pytest.mark.parametrize(("fill", "expected"), [(-1024, -1024), (-1000, -1000), (-2000, None), (-3024, None)])
def test_a_constant_alone_is_air_unless_no_scanner_measures_it(fill, expected):
    volume = with_values(make_body(), lambda hu: np.where(hu < -500, fill, hu))

    assert measure_input(volume)[InputQuantity.AIR_HU] == expected


def test_fat_is_found_under_the_skin_of_the_lean():
    found = measure_input(make_body(fat_mm=9))

    assert found[InputQuantity.FAT_HU] == pytest.approx(SKIN_FAT, abs=3)


@pytest.mark.parametrize("blur_mm", [1.2, 2.1])
@pytest.mark.parametrize("pixel_mm", [1.0, 2.0])
@pytest.mark.parametrize("fat_mm", [3, 5, 6, 7, 8, 10])
def test_thin_fat_of_lean_legs_is_fat_or_unknown_but_never_what_the_blur_makes_of_it(fat_mm, pixel_mm, blur_mm):
    legs = make_legs(50, fat_mm=fat_mm, spacing_mm=(5, pixel_mm, pixel_mm), blur_mm=blur_mm, noise_hu=15)

    found = measure_input(legs)

    fat_hu = found[InputQuantity.FAT_HU]
    assert fat_mm < 10 if fat_hu is None else fat_hu == pytest.approx(SKIN_FAT, abs=12)
    assert found[InputQuantity.MUSCLE_HU] == pytest.approx(SOFT, abs=4)


@settings(max_examples=15, deadline=None)
@given(shift=st.integers(-90, 150), scale=st.floats(0.8, 1.25))
def test_muscle_follows_every_shift_and_scale_of_hu(shift, scale):
    volume = with_values(make_legs(noise_hu=12), lambda hu: np.rint(hu * scale + shift))

    assert measure_input(volume)[InputQuantity.MUSCLE_HU] == pytest.approx(SOFT * scale + shift, abs=4)


@pytest.mark.parametrize("make", [lambda: make_legs(fat_mm=2), lambda: make_legs(half_mm=55, fat_mm=2)])
def test_muscle_of_lean_legs_is_not_taken_for_fat(make):
    found = measure_input(make())

    assert found[InputQuantity.FAT_HU] is None
    assert found[InputQuantity.MUSCLE_HU] == pytest.approx(SOFT, abs=3)


@pytest.mark.parametrize("fat_mm", [25, 45, 95])
def test_fat_that_fills_the_layer_under_the_skin_is_fat(fat_mm):
    """As in the obese: no muscle is within the layer, and hardly any deeper."""
    found = measure_input(make_body(fat_mm=fat_mm, liver_x_mm=None))

    assert found[InputQuantity.FAT_HU] == pytest.approx(SKIN_FAT, abs=3)


@pytest.mark.parametrize("gap_mm", [-6, 30])
@pytest.mark.parametrize("fwhm_mm", [3, 5, 8])
def test_the_skin_of_legs_is_as_wide_as_the_blur_whether_they_touch_or_not(gap_mm, fwhm_mm):
    blur_mm = fwhm_mm / (2 * math.sqrt(2 * math.log(2)))
    volume = make_legs(gap_mm=gap_mm, spacing_mm=(5, 1.2, 1.2), slices=3, blur_mm=blur_mm)

    assert edge_mm(volume, find_outline(volume)) == pytest.approx(fwhm_mm, rel=0.12)


@pytest.mark.parametrize("gap_mm", [-6, 30])
def test_two_legs_are_as_wide_as_both_and_as_deep_as_one(gap_mm):
    found = measure_input(make_legs(half_mm=70, gap_mm=gap_mm))

    width, depth = 280 + gap_mm, 140
    assert found[InputQuantity.BODY_ASPECT] == pytest.approx(width / depth, rel=0.05)
    assert found[InputQuantity.BODY_DIAMETER_MM] == pytest.approx(math.sqrt(width * depth), rel=0.05)


@pytest.mark.parametrize("sd_hu", [10, 25, 60])
def test_noise_in_legs_is_its_standard_deviation(sd_hu):
    assert measure_input(make_legs(noise_hu=sd_hu))[InputQuantity.NOISE_HU] == pytest.approx(sd_hu, rel=0.15)


@pytest.mark.parametrize("sd_hu", [10, 25, 60])
def test_noise_is_its_standard_deviation(sd_hu):
    volume = make_body(noise_hu=sd_hu)
    outline = find_outline(volume)

    assert noise_hu(volume, outline, outline.depth_mm) == pytest.approx(sd_hu, rel=0.15)


@pytest.mark.parametrize("fwhm_mm", [3, 5, 8])
@pytest.mark.parametrize("pixel_mm", [0.8, 1.5])
def test_the_edge_is_as_wide_as_the_blur_whatever_the_pixels(fwhm_mm, pixel_mm):
    blur_mm = fwhm_mm / (2 * math.sqrt(2 * math.log(2)))
    volume = make_body(spacing_mm=(5, pixel_mm, pixel_mm), slices=3, blur_mm=blur_mm)

    assert edge_mm(volume, find_outline(volume)) == pytest.approx(fwhm_mm, rel=0.12)


@settings(max_examples=15, deadline=None)
@given(depth=st.floats(60, 200), width=st.floats(60, 240), pixel=st.floats(0.8, 3.0))
def test_the_size_of_the_body_is_its_own_in_mm(depth, width, pixel):
    found = measure_input(make_body((depth, width), (5, pixel, pixel), slices=3, fat_mm=15, liver_x_mm=None))

    step_mm = max(4.0, 2 * pixel)
    assert found[InputQuantity.BODY_DIAMETER_MM] == pytest.approx(2 * math.sqrt(depth * width), abs=3 * step_mm)
    assert found[InputQuantity.BODY_ASPECT] == pytest.approx(width / depth, rel=0.1)


@pytest.mark.parametrize("x_mm", [-70, 70])
def test_a_liver_on_the_right_is_right(x_mm):
    ratio = liver_ratio(find_outline(make_body(liver_x_mm=x_mm)))

    assert (ratio > 1.5) == (x_mm < 0)
    assert (ratio < 0.7) == (x_mm > 0)


def test_without_a_liver_no_side_is_known():
    assert liver_ratio(find_outline(make_body(liver_x_mm=None))) is None


def test_metal_is_counted_in_ml():
    volume = make_body()
    array = volume.array.copy()
    array[2:4, 80:90, 80:85] = 3071

    found = metal_ml(Volume(array, volume.affine_lps.copy(), "1.2", ()))

    assert found == pytest.approx(2 * 10 * 5 * 5 * 2 * 2 / 1000)


def test_padding_is_neither_metal_nor_bone():
    """The padding of this body has 3000 HU."""
    found = measure_input(make_body(padding=True))

    assert found == measure_input(make_body(padding=False))
    assert (found[InputQuantity.METAL_ML], found[InputQuantity.TOP_HU]) == (0, BONE)


@pytest.mark.parametrize("flips", [f for n in (1, 2, 3) for f in itertools.combinations(range(3), n)])
def test_no_quantity_depends_on_the_order_of_storage(flips):
    volume = make_body(noise_hu=10)

    straight, turned = measure_input(volume), measure_input(stored_as(volume, flips))

    for quantity in PIXELS:
        assert turned[quantity] == pytest.approx(straight[quantity], rel=0.05), quantity


def test_of_air_alone_only_the_air_is_known():
    volume = make_body()

    found = measure_input(with_values(volume, lambda hu: np.full_like(hu, -1000)))

    assert found[InputQuantity.AIR_HU] == -1000
    unknown = {quantity for quantity, value in found.items() if value is None}
    assert {
        InputQuantity.FAT_HU,
        InputQuantity.NOISE_HU,
        InputQuantity.EDGE_MM,
        InputQuantity.BODY_DIAMETER_MM,
    } < unknown


def test_without_air_around_the_body_nothing_is_said_of_air():
    volume = make_body()

    assert measure_input(with_values(volume, lambda hu: np.maximum(hu, 0)))[InputQuantity.AIR_HU] is None
