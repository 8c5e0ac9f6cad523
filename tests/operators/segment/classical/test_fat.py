import numpy as np
import pytest

from operators.segment.classical import TrunkParameters
from operators.segment.classical.fat import bowel_content
from operators.segment.classical.morphology import close_ball, dilate

SPACING_MM = (3.0, 3.0, 3.0)


def _between_bubbles(bubble_hu):
    hu = np.full((5, 40, 40), -100.0, np.float32)
    hu[:, 16:25, 12:16] = hu[:, 16:25, 20:24] = bubble_hu
    return hu, bowel_content(hu, np.ones(hu.shape, bool), np.zeros(hu.shape, bool), SPACING_MM, TrunkParameters())


@pytest.mark.parametrize("bubble_hu", [-900.0, -400.0])
def test_stool_between_bubbles_is_bowel(bubble_hu):
    _, content = _between_bubbles(bubble_hu)

    assert content[2, 20, 13:23].all()
    assert not content[2, 5].any()


def test_margin_reaches_beyond_gas_not_beyond_stool():
    hu, content = _between_bubbles(-900.0)
    parameters = TrunkParameters()
    gas = hu < -500.0

    reached = dilate(content, parameters.gas_margin_mm, SPACING_MM)

    at_gas = dilate(gas, parameters.gas_margin_mm, SPACING_MM)
    assert reached[at_gas].all()
    assert not reached[~at_gas & ~close_ball(gas, parameters.gas_closing_mm, SPACING_MM)].any()


def test_lungs_are_kept_and_not_closed():
    hu = np.full((5, 40, 40), -100.0, np.float32)
    lungs = np.zeros(hu.shape, bool)
    lungs[:, 20, 15] = lungs[:, 20, 20] = True

    content = bowel_content(hu, np.ones(hu.shape, bool), lungs, SPACING_MM, TrunkParameters())

    np.testing.assert_array_equal(content, lungs)
