import numpy as np

from operators.segment.classical import TrunkParameters
from operators.segment.classical.thorax import find_lungs, find_thorax_slice

SPACING_MM = (3.0, 3.0, 3.0)


def _with_air(value):
    hu = np.full((12, 40, 40), 40.0, np.float32)
    hu[4:, 10:30, 5:18] = value
    return hu


def test_aerated_tissue_is_lung():
    hu = _with_air(-850.0)

    lungs = find_lungs(hu, np.ones(hu.shape, bool), SPACING_MM, TrunkParameters())

    np.testing.assert_array_equal(lungs, hu < -500)


def test_pure_gas_is_bowel():
    hu = _with_air(-995.0)

    assert not find_lungs(hu, np.ones(hu.shape, bool), SPACING_MM, TrunkParameters()).any()


def test_thorax_begins_where_lung_fills_half_the_inside():
    lungs = np.zeros((6, 10, 10), dtype=bool)
    lungs[2, :, :3] = lungs[3, :, :5] = lungs[4:] = True

    assert find_thorax_slice(lungs, np.ones_like(lungs), 0.5) == 3


def test_an_abdomen_has_no_thorax():
    assert find_thorax_slice(np.zeros((3, 4, 4), bool), np.ones((3, 4, 4), bool), 0.5) is None
