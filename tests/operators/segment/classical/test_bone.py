import numpy as np
import pytest
from scipy import ndimage

from operators.segment.classical import TrunkParameters, TrunkTissue, segment_trunk
from operators.segment.classical.bone import fill_marrow, fill_vertebrae, find_bone, find_enclosed, refine_bone
from operators.segment.classical.grid import signed_distance
from tests.operators.segment.classical.builders import MARROW, ellipse, make_trunk


def _ring(shape, centre, outer, inner):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot(rows - centre[0], columns - centre[1])
    return (radius <= outer) & (radius > inner)


def test_marrow_belongs_to_bone():
    filled = fill_marrow(_ring((30, 30), (12, 15), 8, 5)[None], 3.0, 20.0)

    assert filled[0, 12, 15]


def test_canal_behind_a_vertebral_body_stays_open():
    bone = _ring((40, 30), (12, 15), 8, 5) | _ring((40, 30), (24, 15), 5, 3)

    filled = fill_marrow(bone[None], 3.0, 20.0)

    assert filled[0, 12, 15]
    assert not filled[0, 24, 15]


def test_canal_stays_open_where_the_arch_is_closed_without_a_body_in_front():
    body, arch, shifted = (
        _ring((40, 30), (row, 15), 8 if row == 12 else 5, 5 if row == 12 else 3) for row in (12, 24, 25)
    )

    filled = fill_marrow(np.stack([shifted, arch, body | arch, arch, shifted]), 3.0, 20.0)

    assert not filled[:, 24, 15].any()
    assert filled[2, 12, 15]


def test_marrow_behind_which_no_canal_goes_on_is_filled():
    body, arch = _ring((40, 30), (12, 15), 8, 5), _ring((40, 30), (24, 15), 5, 3)

    # The ring two slices on is not joined to the canal: the slice between has none.
    filled = fill_marrow(np.stack([body | arch, body, arch]), 3.0, 20.0)

    assert filled[2, 24, 15]


def test_vertebra_is_filled_and_its_canal_is_not():
    trunk = make_trunk(slices=3)

    bone = find_bone(trunk.hu.astype(np.float32), trunk.truth > 0, trunk.spacing_mm, TrunkParameters())

    np.testing.assert_array_equal(bone, trunk.truth == 2)


def _enclosed(bone):
    return find_enclosed(bone[None], np.ones((1, *bone.shape), bool), (3.0, 3.0, 3.0), TrunkParameters())[0]


def test_cortex_with_the_foramen_of_its_vein_encloses_marrow():
    ring = _ring((40, 41), (20, 20), 7, 5)
    ring[20:, 18:23] = False

    enclosed = _enclosed(ring)

    assert enclosed[20, 20]
    assert np.mean(enclosed[_ring((40, 41), (20, 20), 4, -1)]) > 0.8
    assert not enclosed[_ring((40, 41), (20, 20), 40, 7)].any()


def test_groove_beside_a_vertebra_is_not_enclosed_but_for_its_corner():
    bone = _ring((40, 41), (20, 20), 7, -1)
    bone[25:28, 4:37] = True

    assert _enclosed(bone)[~bone].sum() <= 2


def test_bone_far_from_the_midline_encloses_nothing():
    ring = _ring((60, 101), (30, 15), 7, 5)

    assert not _enclosed(ring).any()


@pytest.mark.parametrize("marrow_hu", [60, 110])
def test_body_with_dark_marrow_that_is_open_to_the_canal_is_bone_and_the_canal_is_not(marrow_hu):
    trunk = make_trunk(slices=5)
    rows_mm, columns_mm = ((np.arange(size) - (size - 1) / 2) * 3.0 for size in trunk.hu.shape[1:])
    marrow = trunk.hu == MARROW
    marrow[:, 50:59] |= (trunk.truth[:, 50:59] == 2) & ((rows_mm[50:59] < 43)[:, None] & (np.abs(columns_mm) < 9))
    trunk.hu[marrow] = marrow_hu

    found = segment_trunk(trunk.hu, trunk.spacing_mm).labels

    assert np.mean(found[marrow] == TrunkTissue.BONE) > 0.95
    canal = (trunk.hu == 20) & (trunk.truth == 1)
    assert np.mean(found[canal] == TrunkTissue.BONE) < 0.1


def test_enhanced_vessels_before_a_vertebra_and_what_lies_between_are_no_bone():
    trunk = make_trunk(slices=5)
    shape, spacing_mm = trunk.hu.shape, trunk.spacing_mm
    soft = ellipse(shape, spacing_mm, (-8.0, 0.0), 12.0, 26.0) & (trunk.truth[0] != 2)
    vessels = [ellipse(shape, spacing_mm, (-8.0, left), 10.0, 10.0) & soft for left in (-14.0, 14.0)]
    trunk.hu[:, soft] = 60
    trunk.hu[:, vessels[0] | vessels[1]] = 250

    found = segment_trunk(trunk.hu, spacing_mm).labels == TrunkTissue.BONE

    rows_mm = (np.arange(shape[1]) - (shape[1] - 1) / 2)[:, None] * spacing_mm[1]
    # A voxel of the working grid, and the osteophytes that the engine allows for, in front of the vertebra.
    assert not found[:, soft & (rows_mm < -3.0)].any()
    assert np.mean(found[:, soft]) < 0.15


def _refined(hu, bone, marrow=None):
    """One slice whose working voxels are 3 of its pixels of 1 mm; marrow is what is dark in the working grid, too."""
    marrow = np.zeros_like(bone) if marrow is None else marrow
    depth, in_marrow = (signed_distance(mask[None], (1.0, 1.0, 1.0))[0] for mask in (bone, marrow))
    return refine_bone(hu, depth, in_marrow, 3.0, TrunkParameters())


def test_disc_in_a_working_voxel_that_an_end_plate_makes_bright_is_no_bone():
    hu = np.full((40, 40), 80.0)
    hu[5:15, 5:35] = 700.0
    bone = np.zeros((40, 40), bool)
    bone[5:35, 5:35] = True

    np.testing.assert_array_equal(_refined(hu, bone), hu == 700.0)


@pytest.mark.parametrize("marrow_hu", [-60.0, 60.0, 200.0])
def test_marrow_within_its_cortex_is_bone_whatever_its_hu(marrow_hu):
    ring = _ring((40, 40), (20, 20), 15, 12)
    inside = _ring((40, 40), (20, 20), 15, -1)

    np.testing.assert_array_equal(_refined(np.where(ring, 700.0, np.where(inside, marrow_hu, 40.0)), inside), inside)


def test_marrow_whose_cortex_is_open_is_bone_where_it_is_brighter_than_soft_tissue():
    ring = _ring((40, 40), (20, 20), 15, 12)
    ring[18:22, 30:] = False
    inside = _ring((40, 40), (20, 20), 15, -1)

    found = _refined(np.where(ring, 700.0, np.where(inside, 130.0, 40.0)), inside)

    assert found[20, 20]
    assert np.mean(found[inside]) > 0.98


def test_dark_marrow_that_the_working_grid_found_is_bone_though_its_cortex_is_open():
    ring = _ring((40, 40), (20, 20), 15, 12)
    ring[18:22, 30:] = False
    inside = _ring((40, 40), (20, 20), 15, -1)

    found = _refined(np.where(ring, 700.0, 40.0), inside, _ring((40, 40), (20, 20), 12, -1))

    assert found[20, 20]


def test_a_stone_is_no_bone():
    trunk = make_trunk(slices=3)
    hu = trunk.hu.astype(np.float32)
    hu[1, 30, 30] = 800.0

    assert not find_bone(hu, trunk.truth > 0, trunk.spacing_mm, TrunkParameters())[1, 30, 30]


@pytest.mark.parametrize(("index", "half", "is_bone"), [(2, 2, True), (1, 2, False), (2, 1, False)])
def test_a_small_piece_is_bone_where_the_field_cuts_it_as_wide_as_a_rib(index, half, is_bone):
    # Cuts of 15 x 12 mm and of 9 x 6 mm, one slice of 2 mm: 0.36 and 0.11 mL.
    trunk = make_trunk(slices=3, spacing_mm=(2.0, 3.0, 3.0))
    hu = trunk.hu.astype(np.float32)
    hu[index, 30 - half : 31 + half, 30 - half : 30 + half] = 600.0

    assert find_bone(hu, trunk.truth > 0, trunk.spacing_mm, TrunkParameters())[index, 30, 30] == is_bone


def test_disc_between_two_vertebrae_is_not_closed():
    trunk = make_trunk(slices=9)
    hu = trunk.hu.astype(np.float32)
    hu[3:6][trunk.truth[3:6] == 2] = 80.0

    assert not find_bone(hu, trunk.truth > 0, trunk.spacing_mm, TrunkParameters())[3:6].any()


def test_disc_with_a_bony_rim_that_is_open_in_front_is_no_bone():
    trunk = make_trunk(slices=9)
    hu, body = trunk.hu.astype(np.float32), trunk.truth > 0
    vertebra = trunk.truth[4] == 2
    rim = vertebra & ~ndimage.binary_erosion(vertebra, iterations=2)
    rows, columns = np.nonzero(vertebra)
    angle = np.arctan2(
        *(axis - middle for axis, middle in zip(np.indices(rim.shape), (rows.mean(), columns.mean()), strict=True))
    )
    rim &= ~(np.abs(angle + np.pi / 2) < np.pi / 4)
    hu[4] = np.where(vertebra, np.where(rim, 350.0, 80.0), hu[4])

    found = find_bone(hu, body, trunk.spacing_mm, TrunkParameters())

    assert not found[4, round(rows.mean()), round(columns.mean())]


def test_vertebra_ends_at_its_canal_though_its_spinous_process_has_marrow():
    vertebra, canal, process = (np.zeros((1, 80, 60), bool) for _ in range(3))
    vertebra[:, 20:40, 20:40] = True
    canal[:, 42:48, 26:34] = True
    process[:, 58:61, 29:31] = True

    found = fill_vertebrae(
        np.zeros_like(vertebra), vertebra | canal, canal | process, (3.0, 1.0, 1.0), TrunkParameters()
    )

    assert found[vertebra].all()
    assert not found[:, 42:].any()
