"""Table slope: a table that rises through the slices has its angle; what follows the body, or is absent, has none."""

import numpy as np
import pytest

from operators.core.volume import Volume
from operators.qc.outline import find_outline
from operators.qc.table_slope import table_slope_deg
from tests.operators.qc.bodies import make_body, make_legs, sheared, stored_as

TRUNK = make_body(table=True, slices=30, noise_hu=15)
LEGS = make_legs(table=True, slices=30, noise_hu=15)


def slope(volume):
    return table_slope_deg(volume, find_outline(volume))


@pytest.mark.parametrize("volume", [TRUNK, LEGS], ids=["trunk", "legs"])
@pytest.mark.parametrize("degrees", [-15, -5, 0, 5, 15])
def test_a_tilt_that_the_headers_deny_is_the_slope_of_the_table(volume, degrees):
    assert slope(sheared(volume, degrees)) == pytest.approx(degrees, abs=1.0)


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
def test_the_slope_is_that_of_the_patient_however_the_scan_is_stored(flips):
    assert slope(stored_as(sheared(TRUNK, 10), flips)) == pytest.approx(10, abs=1.0)


@pytest.mark.parametrize("make", [make_body, make_legs])
def test_without_a_table_there_is_no_slope(make):
    assert slope(make(slices=30, noise_hu=15)) is None


def test_a_body_that_rises_above_a_level_table_changes_nothing():
    level = TRUNK.array
    body = sheared(make_body(slices=30, half_mm=(100.0, 160.0)), 4).array
    rows = min(level.shape[1], body.shape[1])
    array = np.where(np.arange(level.shape[1])[None, :, None] > rows - 20, level, -1000).astype(np.int16)
    array[:, 10 : 10 + body.shape[1]] = np.maximum(array[:, 10 : 10 + body.shape[1]], body)

    assert slope(Volume(array, TRUNK.affine_lps.copy(), "1.2", ())) == pytest.approx(0, abs=1.0)


def test_a_cushion_that_slopes_is_no_table():
    cushion = make_body(slices=30)
    array = cushion.array.copy()
    for index in range(len(array)):
        array[index, -18 + index // 4 :] = -900

    assert slope(Volume(array, cushion.affine_lps.copy(), "1.2", ())) is None


def test_a_table_that_is_in_few_slices_only_has_no_slope():
    assert slope(make_body(table=True, slices=5)) is None


def test_air_alone_has_no_slope():
    assert slope(Volume(np.full_like(TRUNK.array, -1000), TRUNK.affine_lps.copy(), "1.2", ())) is None
