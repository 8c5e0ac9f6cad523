"""Limbs: bone of arms that touch the trunk, and of nothing else."""

import numpy as np
import pytest

from operators.core.volume import Volume
from operators.qc.limbs import limb_bone_ml
from operators.qc.outline import find_outline
from tests.operators.qc.bodies import BONE, SKIN_FAT, SOFT, make_body

SPACING_MM = (5.0, 2.0, 2.0)


def with_discs(volume, discs):
    """Discs beside the body, `(x, y, radius)` in mm from its middle with their HU; the body keeps what is its own."""
    array = np.pad(volume.array, ((0, 0), (0, 0), (50, 50)), constant_values=-1000)
    air = array[0] < -500
    y, x = (
        (np.arange(size) - (size - 1) / 2).reshape(shape) * 2.0
        for size, shape in zip(array.shape[1:], ((-1, 1), (1, -1)), strict=True)
    )
    for centre_x, centre_y, radius, hu in discs:
        array[:, (np.hypot(x - centre_x, y - centre_y) <= radius) & air] = hu
    return Volume(array, volume.affine_lps.copy(), "1.2", ())


def found(volume):
    outline = find_outline(volume)
    return limb_bone_ml(outline, outline.depth_mm)


def arm(x_mm, radius_mm):
    return [(x_mm, 10, radius_mm, SKIN_FAT), (x_mm, 10, radius_mm - 8, SOFT), (x_mm, 10, 11, BONE)]


@pytest.mark.parametrize(("x_mm", "radius_mm"), [(195, 42), (-195, 42), (180, 28), (-205, 50)])
def test_bone_of_an_arm_that_touches_the_trunk_is_found(x_mm, radius_mm):
    volume_ml = np.pi * 11**2 * SPACING_MM[0] * 12 / 1000

    assert found(with_discs(make_body(), arm(x_mm, radius_mm))) == pytest.approx(volume_ml, rel=0.2)


@pytest.mark.parametrize("half_mm", [(65.0, 140.0), (90.0, 150.0), (110.0, 160.0), (180.0, 200.0)])
def test_a_trunk_alone_has_no_limb_however_slender(half_mm):
    body = make_body(half_mm, fat_mm=8)
    array = body.array.copy()
    y, x = ((np.arange(size) - (size - 1) / 2) * 2.0 for size in array.shape[1:])
    # Ribs in its flanks.
    array[:, np.hypot(np.abs(x) - half_mm[1] + 14, y[:, None]) <= 5] = BONE

    assert found(Volume(array, body.affine_lps.copy(), "1.2", ())) == 0


def test_an_arm_beside_the_trunk_and_a_breast_are_no_limbs_of_it():
    assert found(with_discs(make_body(), arm(225, 42))) == 0
    assert found(with_discs(make_body(), [(60, -110, 45, SKIN_FAT)])) == 0


def test_without_a_body_nothing_is_known():
    body = make_body()
    assert found(Volume(np.full_like(body.array, -1000), body.affine_lps.copy(), "1.2", ())) is None
