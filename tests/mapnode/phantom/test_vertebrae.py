"""Vertebrae of the phantom: each is bone, one piece, and centred where the anatomy says."""

import numpy as np
import pytest
from scipy import ndimage

from mapnode.phantom import PhantomTissue, TrunkPhantomParameters, build_trunk_phantom
from mapnode.phantom.vertebrae import CENTRES_MM, vertebra_masks

PARAMETERS = TrunkPhantomParameters(slices=60, spacing_mm=(2.0, 2.0, 2.0))


@pytest.fixture(scope="module")
def phantom():
    return build_trunk_phantom(PARAMETERS)


@pytest.fixture(scope="module")
def masks(phantom):
    return vertebra_masks(phantom)


def test_vertebrae_are_bone_and_share_no_voxel(phantom, masks):
    assert np.sum(list(masks.values()), axis=0).max() == 1
    assert all((phantom.truth_labels[mask] == PhantomTissue.BONE).all() for mask in masks.values())


def test_names_run_from_head_to_feet(masks):
    heights = [np.argwhere(mask)[:, 0].mean() for mask in masks.values()]

    assert list(masks) == ["vertebrae_L1", "vertebrae_L2", "vertebrae_L3", "vertebrae_L4", "vertebrae_L5"]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("name", ["vertebrae_L2", "vertebrae_L3", "vertebrae_L4"])
def test_the_body_of_a_vertebra_has_its_middle_where_it_is_said_to_be(phantom, masks, name):
    # Without arch and processes: what lies in front of the canal, which begins at y = 51 mm.
    rows = int((50 - phantom.affine_lps[1, 3]) / 2)
    slices = np.flatnonzero(masks[name][:, :rows].any(axis=(1, 2)))

    middle_mm = phantom.affine_lps[2, 3] + 2.0 * (slices[0] + slices[-1]) / 2

    assert middle_mm == pytest.approx(CENTRES_MM[name], abs=1.0)


def test_a_whole_vertebra_is_one_piece(masks):
    assert ndimage.label(masks["vertebrae_L3"], np.ones((3, 3, 3)))[1] == 1
