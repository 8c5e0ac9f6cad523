import numpy as np

from operators.segment.classical import TrunkParameters
from operators.segment.classical.fat import bowel_content

SPACING_MM = (3.0, 3.0, 3.0)


def test_stool_between_bubbles_is_bowel():
    hu = np.full((5, 40, 40), -100.0, np.float32)
    hu[:, 16:25, 12:16] = hu[:, 16:25, 20:24] = -900.0

    content = bowel_content(hu, np.ones(hu.shape, bool), np.zeros(hu.shape, bool), SPACING_MM, TrunkParameters())

    assert content[2, 20, 12:24].all()
    assert not content[2, 5].any()


def test_lungs_are_kept_and_not_closed():
    hu = np.full((5, 40, 40), -100.0, np.float32)
    lungs = np.zeros(hu.shape, bool)
    lungs[:, 20, 15] = lungs[:, 20, 20] = True

    content = bowel_content(hu, np.ones(hu.shape, bool), lungs, SPACING_MM, TrunkParameters())

    np.testing.assert_array_equal(content, lungs)
