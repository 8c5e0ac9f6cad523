"""Outline: body and air are told apart whatever lies around them."""

import numpy as np
import pytest

from operators.core.volume import Volume
from operators.qc.outline import find_outline
from tests.operators.qc.bodies import make_body, make_legs


def area_cm2(outline):
    return outline.body[0].sum() * outline.spacing_mm[1] * outline.spacing_mm[2] / 100


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("padding", [False, True])
def test_the_body_has_its_area_with_or_without_a_table_and_padding(table, padding):
    outline = find_outline(make_body(table=table, padding=padding))

    assert area_cm2(outline) == pytest.approx(np.pi * 11 * 16, rel=0.03)


def test_padding_is_neither_air_nor_body():
    volume = make_body(padding=True)

    outline = find_outline(volume)

    missing = volume.padding[:, :: outline.steps[0], :: outline.steps[1]][: len(outline.hu)]
    assert missing[0].any()
    assert not (outline.body | outline.outside)[missing].any()


def test_gas_inside_the_body_is_not_outside_air():
    volume = make_body()
    gas = volume.array.copy()
    gas[:, 60:80, 90:110] = -900

    outline = find_outline(Volume(gas, volume.affine_lps.copy(), "1.2", ()))

    assert outline.outside.sum() == find_outline(volume).outside.sum()


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("gap_mm", [-6, 30])
def test_both_legs_are_the_body_whether_they_touch_or_not(gap_mm, table):
    outline = find_outline(make_legs(gap_mm=gap_mm, table=table))

    assert area_cm2(outline) == pytest.approx(2 * np.pi * 7.5**2, rel=0.04)


def with_drawn(volume, draw):
    array = volume.array.copy()
    draw(array)
    return Volume(array, volume.affine_lps.copy(), "1.2", ())


def test_an_arm_beside_the_trunk_is_no_body():
    def arm(hu):
        rows, columns = np.ogrid[: hu.shape[1], : hu.shape[2]]
        hu[:, np.hypot(rows - 75, columns - 10) < 9] = 40

    outline = find_outline(with_drawn(make_body(), arm))

    assert area_cm2(outline) == pytest.approx(np.pi * 11 * 16, rel=0.03)


def test_foam_in_a_shell_that_closes_is_no_body_however_large_it_is():
    def hollow_table(hu):
        hu[:, 90:110, 20:-20] = 40
        hu[:, 93:107, 23:-23] = -950

    outline = find_outline(with_drawn(make_legs(half_mm=60, spacing_mm=(5.0, 2.0, 2.0)), hollow_table))

    assert area_cm2(outline) == pytest.approx(2 * np.pi * 6**2, rel=0.06)


def test_without_tissue_there_is_no_body():
    volume = make_body()

    outline = find_outline(Volume(np.full_like(volume.array, -1000), volume.affine_lps.copy(), "1.2", ()))

    assert not outline.body.any()
    assert outline.outside.all()


def test_many_slices_are_sampled_and_few_all_taken():
    assert len(find_outline(make_body(slices=12)).indices) == 12
    assert len(find_outline(make_body(slices=200)).indices) <= 32
