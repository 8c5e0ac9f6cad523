import numpy as np
import pytest

from operators.segment.classical import TrunkParameters
from operators.segment.classical.pelvis import find_iliac_crest

SPACING_MM = (3.0, 3.0, 3.0)
SHAPE = (40, 90, 120)


def _crest(hu):
    middles = np.full(hu.shape[0], (hu.shape[2] - 1) / 2)
    return find_iliac_crest(hu, hu > 150, middles, SPACING_MM, TrunkParameters())


def _soft():
    return np.full(SHAPE, 40.0, np.float32)


def _wings(hu, top):
    """Plates with marrow that grow downwards from a small crest."""
    for index in range(min(top + 1, hu.shape[0])):
        half = min(3 + (top - index), 15)
        for column in (25, 92):
            hu[index, 50 - half : 50 + half, column : column + 4] = 500.0
            hu[index, 52 - half : 48 + half, column + 1 : column + 3] = 200.0
    return hu


def _ribs(hu, bottom=0, centre=20):
    """Small sections on both sides that climb to the top."""
    for index in range(bottom, hu.shape[0]):
        row = centre + index // 2
        for column in (20, 97):
            hu[index, row : row + 6, column : column + 3] = 500.0
    return hu


def test_crest_is_the_top_of_both_wings():
    assert _crest(_wings(_soft(), 20)) == 20


def test_crest_is_found_below_ribs():
    assert _crest(_ribs(_wings(_soft(), 20), bottom=28)) == 20


def test_ribs_that_leave_the_field_downwards_are_no_pelvis():
    assert _crest(_ribs(_soft())) is None


@pytest.mark.parametrize("outwards", [8, 16, 24], ids=lambda columns: f"{3 * columns} mm from the limit")
def test_ribs_that_reach_the_spine_soon_above_the_lowest_slice_are_no_pelvis(outwards):
    # A rib of 9 x 13 mm that falls 1 mm in 3 is cut 13 voxels wide, and moves 3 voxels in a slice.
    hu = _soft()
    for index in range(SHAPE[0]):
        inner = 75 + outwards - 3 * index
        hu[index, 60:63, inner : inner + 13] = hu[index, 60:63, 119 - inner - 13 : 119 - inner] = 500.0
        hu[index, 61, inner + 1 : inner + 12] = hu[index, 61, 119 - inner - 12 : 119 - inner - 1] = 200.0
        if inner < 64:
            break

    assert _crest(hu) is None


def test_three_slices_of_a_wing_are_enough():
    assert _crest(_wings(_soft(), 3)) == 3


def test_a_tilted_pelvis_shows_one_wing_first():
    hu = _wings(_soft(), 20)
    hu[:, :, 60:] = 40.0

    assert _crest(hu) == 20


def test_one_small_bone_that_leaves_the_field_is_no_pelvis():
    hu = _wings(_soft(), 3)
    hu[:, :, 60:] = 40.0

    assert _crest(hu) is None


def test_enhanced_kidneys_are_no_pelvis():
    hu = _soft()
    hu[10:40, 45:62, 25:38] = hu[10:40, 45:62, 82:95] = 220.0

    assert _crest(hu) is None


def test_bowel_contrast_down_to_the_end_of_the_field_is_no_pelvis():
    hu = _soft()
    hu[:30, 45:57, 22:34] = hu[:30, 45:57, 86:98] = 400.0

    assert _crest(hu) is None


def test_a_field_within_the_pelvis_is_pelvis_throughout():
    assert _crest(_wings(_soft()[:10], 60)) == 9


def test_a_spine_alone_is_no_pelvis():
    hu = _soft()
    hu[:, 50:64, 52:68] = 500.0

    assert _crest(hu) is None
