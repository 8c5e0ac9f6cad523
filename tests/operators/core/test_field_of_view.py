"""Field of view: what was not reconstructed is told from air, and how much of a mask faces it is measured."""

from dataclasses import replace

import numpy as np
import pytest

from operators.core.field_of_view import contact_mm, unseen
from tests.builders import make_affine, make_volume

SHAPE = (3, 60, 60)
AIR, FILL = -1000, -1024


def make_ct(fill=FILL, noise_hu=10.0, radius_px=30.0, spacing_mm=(3.0, 0.8, 0.8)):
    """Air with noise, clipped at the lowest value, in a circle that is filled around with it."""
    hu = np.random.default_rng(4).normal(AIR, noise_hu, SHAPE).clip(FILL, None).astype(np.int16)
    places = (np.arange(SHAPE[1]) - (SHAPE[1] - 1) / 2) ** 2
    outside = np.sqrt(places[:, None] + places) > radius_px
    hu[:, outside] = fill
    return make_volume(hu, make_affine(spacing_mm=spacing_mm)), outside


@pytest.mark.parametrize("radius_px", [30.0, 29.0, 28.0])
@pytest.mark.parametrize("noise_hu", [0.0, 10.0])
def test_corners_around_the_reconstructed_circle_are_unseen(radius_px, noise_hu):
    volume, outside = make_ct(radius_px=radius_px, noise_hu=noise_hu)

    found = unseen(volume, 1)

    assert found[0, 0]
    assert not found[20:40, 20:40].any()
    assert not (found & ~outside & (volume.array[1] != FILL)).any()


def test_a_slice_whose_corners_were_reconstructed_has_nothing_unseen():
    hu = np.random.default_rng(4).normal(AIR, 10, SHAPE).astype(np.int16)

    assert unseen(make_volume(hu), 1) is None


def test_corners_of_a_value_that_is_not_the_lowest_were_reconstructed():
    volume, _ = make_ct(fill=0)

    assert unseen(volume, 1) is None


def test_a_slice_of_one_value_has_nothing_unseen():
    assert unseen(make_volume(np.zeros(SHAPE, np.int16)), 1) is None


def test_padding_is_unseen_wherever_it_lies():
    hu = np.random.default_rng(4).normal(AIR, 10, SHAPE).astype(np.int16)
    padding = np.zeros(SHAPE, dtype=bool)
    padding[1, :, 50:] = True
    volume = replace(make_volume(hu), padding=padding)

    assert np.array_equal(unseen(volume, 1), padding[1])
    assert unseen(volume, 0) is None


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_contact_is_as_long_as_the_mask_faces_what_is_unseen(gap):
    inside, outside = np.zeros((40, 50), dtype=bool), np.zeros((40, 50), dtype=bool)
    outside[:, 30:] = True
    inside[10:25, 5 : 30 - gap] = True

    expected = 15 * 0.5 if gap < 2 else 0.0
    for turn in (lambda a: a, lambda a: a[:, ::-1], lambda a: a[::-1]):
        assert contact_mm(turn(inside), turn(outside), (0.5, 2.0)) == expected
    assert contact_mm(inside.T, outside.T, (2.0, 0.5)) == expected
