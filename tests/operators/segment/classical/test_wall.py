import numpy as np
import pytest

from operators.segment.classical import TrunkParameters
from operators.segment.classical.spine import track_spine
from operators.segment.classical.wall import cast_rays, find_inner_wall, measure_wall, smooth_wall
from tests.operators.segment.classical.builders import AIR, FAT, MUSCLE, ellipse, make_trunk

PARAMETERS = TrunkParameters()


def _parts(trunk):
    fascia = np.broadcast_to(ellipse(trunk.hu.shape, trunk.spacing_mm, (0.0, 0.0), 89.0, 139.0), trunk.hu.shape)
    track = track_spine(trunk.truth == 2, trunk.truth > 0, trunk.spacing_mm, PARAMETERS)
    return trunk.hu.astype(np.float32), trunk.truth == 2, fascia.copy(), track


def _measure(trunk):
    hu, bone, fascia, track = _parts(trunk)
    return measure_wall(hu, bone, cast_rays(fascia, trunk.spacing_mm, PARAMETERS), track, trunk.spacing_mm, PARAMETERS)


def test_rays_end_at_the_fascia():
    trunk = make_trunk(slices=3)

    rays = cast_rays(_parts(trunk)[2], trunk.spacing_mm, PARAMETERS)

    assert rays.fascia_mm[:, 0] == pytest.approx(139.0, abs=2.0)
    assert rays.fascia_mm[:, 45] == pytest.approx(89.0, abs=2.0)


def test_wall_ends_where_fat_begins():
    thickness, by_rib, _ = _measure(make_trunk(slices=3))

    assert thickness[1, 0] == pytest.approx(17.0, abs=2.0)
    assert thickness[1, 135] == pytest.approx(15.0, abs=2.0)
    assert not by_rib.any()


def test_rays_towards_the_spine_measure_nothing():
    thickness, _, _ = _measure(make_trunk(slices=3))

    assert np.isnan(thickness[:, 45]).all()


def test_the_wall_of_a_gas_filled_bowel_is_not_muscle():
    trunk = make_trunk(slices=3)
    lumen = np.broadcast_to(ellipse(trunk.hu.shape, trunk.spacing_mm, (0.0, 100.0), 25.0, 19.0), trunk.hu.shape)
    bowel = np.broadcast_to(ellipse(trunk.hu.shape, trunk.spacing_mm, (0.0, 100.0), 28.0, 22.0), trunk.hu.shape)
    trunk.hu[bowel], trunk.hu[lumen] = MUSCLE, AIR

    thickness, _, _ = _measure(trunk)

    assert thickness[1, 0] == pytest.approx(15.5, abs=2.5)


def test_a_rib_ends_the_wall():
    trunk = make_trunk(slices=3)
    rib = np.broadcast_to(ellipse(trunk.hu.shape, trunk.spacing_mm, (0.0, 132.0), 15.0, 4.0), trunk.hu.shape)
    trunk.hu[rib], trunk.truth[rib] = 600, 2

    thickness, by_rib, _ = _measure(trunk)

    assert by_rib[1, 0]
    assert thickness[1, 0] == pytest.approx(11.0 + PARAMETERS.rib_inner_mm, abs=3.0)


def _without_muscle(trunk, left_mm, half_mm):
    """Fat instead of the wall in front, but for an aponeurosis of 3 mm."""
    shape = trunk.hu.shape
    columns_mm = (np.arange(shape[2]) - (shape[2] - 1) / 2) * trunk.spacing_mm[2]
    under = np.broadcast_to(ellipse(shape, trunk.spacing_mm, (0.0, 0.0), 86.0, 136.0), shape)
    gap = (trunk.truth == 5) & under & (np.abs(columns_mm - left_mm) <= half_mm)
    gap[:, shape[1] // 2 :] = False
    trunk.hu[gap] = FAT
    return trunk


def test_linea_alba_has_no_muscle_and_fat_behind_it_lies_inside():
    trunk = _without_muscle(make_trunk(slices=5), 0.0, 10.0)

    thickness, _, bare = _measure(trunk)
    wall = find_inner_wall(*_parts(trunk), trunk.spacing_mm, PARAMETERS)

    assert bare[:, 134:136].all()
    assert not bare[:, :125].any()
    assert thickness[2, 134] == 0.0
    assert wall.inside_mm[2, 18, 60] > 0.0


def test_gap_beside_the_midline_is_no_linea_alba():
    _, _, bare = _measure(_without_muscle(make_trunk(slices=5), 60.0, 10.0))

    assert not bare.any()


def test_dark_rays_beside_the_linea_alba_are_none_of_it():
    _, _, bare = _measure(_without_muscle(make_trunk(slices=5), 0.0, 60.0))

    assert bare[:, 134:136].all()
    assert not bare[:, :125].any()


def test_gaps_are_filled_and_outliers_fall_out():
    measured = np.full((10, 180), 15.0)
    measured[3:6, 40:50] = np.nan
    measured[7, 100:104] = 35.0

    thickness = smooth_wall(measured, np.zeros((10, 180), bool), (3.0, 3.0, 3.0), PARAMETERS)

    np.testing.assert_allclose(thickness, 15.0, atol=0.5)


def test_a_wall_that_nowhere_ends_has_the_mean_thickness_of_adults():
    thickness = smooth_wall(np.full((3, 180), np.nan), np.zeros((3, 180), bool), (3.0, 3.0, 3.0), PARAMETERS)

    np.testing.assert_allclose(thickness, PARAMETERS.wall_default_mm)


def test_inner_surface_is_sharp_where_fat_lies_behind_it():
    trunk = make_trunk(slices=5)

    wall = find_inner_wall(*_parts(trunk), trunk.spacing_mm, PARAMETERS)

    front = (slice(None), slice(0, 40))
    cavity = np.broadcast_to(ellipse(trunk.hu.shape, trunk.spacing_mm, (-10.0, 0.0), 64.0, 122.0), trunk.hu.shape)
    assert np.mean((wall.inside_mm > 0)[front] == cavity[front]) > 0.985
    assert wall.sharp[2, 20, 60] > 0.9
