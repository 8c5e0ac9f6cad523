import numpy as np
import pytest
from scipy.stats import norm

from operators.segment.classical import TrunkParameters, TrunkSegmentationError
from operators.segment.classical.body import find_body, find_skin, find_tissue, refine_body
from tests.operators.segment.classical.builders import AIR, make_trunk

PARAMETERS = TrunkParameters()


def test_table_behind_the_patient_is_not_body():
    trunk = make_trunk(slices=4)
    hu = trunk.hu.astype(np.float32)
    hu[:, 84:86, 10:110] = 60.0

    body = find_body(hu, trunk.spacing_mm, PARAMETERS)

    assert not body[:, 84:].any()
    np.testing.assert_array_equal(body, trunk.truth > 0)


def test_air_between_table_and_back_is_not_body():
    trunk = make_trunk(slices=4)
    hu = trunk.hu.astype(np.float32)
    hu[:, 84:86, 10:110] = 60.0
    hu[:, 60:85, 10:12] = hu[:, 60:85, 108:110] = 60.0
    hu[:, 60, 10:30] = hu[:, 60, 90:110] = 60.0

    assert not find_body(hu, trunk.spacing_mm, PARAMETERS)[:, 83].any()


def test_gas_inside_is_body():
    trunk = make_trunk(slices=4)
    hu = trunk.hu.astype(np.float32)
    hu[:, 30:36, 55:70] = AIR

    assert find_body(hu, trunk.spacing_mm, PARAMETERS)[:, 30:36, 55:70].all()


def test_empty_volume_is_refused_with_a_way_out():
    with pytest.raises(TrunkSegmentationError, match=r"No body was found.*CT in HU"):
        find_body(np.full((3, 20, 20), -1000, np.float32), (3.0, 3.0, 3.0), PARAMETERS)


def test_cushion_that_the_back_lies_on_is_not_body():
    trunk = make_trunk(slices=4)
    hu = trunk.hu.astype(np.float32)
    hu[:, 70:90][hu[:, 70:90] == AIR] = -350.0

    np.testing.assert_array_equal(find_body(hu, trunk.spacing_mm, PARAMETERS), trunk.truth > 0)


@pytest.mark.parametrize(("outside_hu", "surface_hu"), [(-1000, -500), (-1050, -500), (-600, -300), (-300, -190)])
def test_surface_is_half_way_between_what_lies_outside_and_water(outside_hu, surface_hu):
    hu = np.array([[outside_hu, surface_hu, 40], [outside_hu, surface_hu + 1, 40], [outside_hu, -100, 40]], np.int16)

    assert find_tissue(hu, 3.0, 3.0, PARAMETERS).tolist() == [
        [False, False, True],
        [False, True, True],
        [False, True, True],
    ]


@pytest.mark.parametrize("pixel_mm", [0.7, 1.2, 3.0])
def test_blurred_edge_at_air_lies_where_half_of_a_voxel_is_air(pixel_mm):
    mm = np.arange(-10.1, 10.0, pixel_mm)
    hu = 1000.0 * (norm.cdf(mm, scale=3.0 / 2.355) - 1.0)

    tissue = find_tissue(np.tile(hu, (5, 1)), pixel_mm, pixel_mm, PARAMETERS)

    np.testing.assert_array_equal(tissue[2], mm > 0)


def test_fat_beside_muscle_is_tissue():
    assert find_tissue(np.array([[50, -120, -189, 50]], np.int16), 1.0, 1.0, PARAMETERS).all()


def test_surface_is_found_by_hu_and_depth_by_distance():
    tissue = np.array([[False, True, False, True]])

    body = refine_body(tissue, np.array([[-1.0, -1.0, 5.0, -5.0]], np.float32), 2.0)

    assert body.tolist() == [[False, True, True, False]]


def test_noise_below_the_surface_makes_no_hole():
    tissue = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 0, 1, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)

    body = refine_body(tissue, np.where(tissue, 1.0, -1.0).astype(np.float32), 2.0)

    assert body[2, 2]
    assert body.sum() == 9


@pytest.mark.parametrize(("pixel_mm", "layers"), [(3.0, 1), (1.0, 2), (0.5, 4)])
def test_skin_is_two_mm_but_at_least_one_pixel(pixel_mm, layers):
    body = np.zeros((40, 40), dtype=bool)
    body[10:30] = True

    skin = find_skin(body, pixel_mm, pixel_mm, 2.0)

    assert skin[10:20, 20].sum() == layers


def test_border_of_the_field_is_no_skin():
    assert not find_skin(np.ones((9, 9), dtype=bool), 1.0, 1.0, 2.0).any()
