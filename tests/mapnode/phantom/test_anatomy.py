"""Anatomy: what lies where in the trunk."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from mapnode.phantom.anatomy import HU_OF_MATERIAL, TISSUE_OF_MATERIAL, Material, PhantomTissue, material_plane
from mapnode.phantom.shapes import Plane

X_MM = np.arange(-190, 190, 1.5) + 0.75
Y_MM = np.arange(-150, 150, 1.5) + 0.75
HEIGHTS_MM = (-150.0, -40.0, 0.0, 30.0, 75.0, 150.0)


def make_plane(z_mm: float, *, table: bool = True) -> np.ndarray:
    return material_plane(Plane(X_MM, Y_MM, z_mm), table=table)


def mean_position_mm(material: Material, z_mm: float) -> tuple[float, float]:
    rows, columns = np.nonzero(make_plane(z_mm) == material)
    return float(X_MM[columns].mean()), float(Y_MM[rows].mean())


def test_every_material_is_met_somewhere():
    met = {int(number) for z_mm in np.arange(-90, 90, 6) for number in np.unique(make_plane(float(z_mm)))}

    assert met == set(Material)


def test_liver_lies_on_the_right_and_spleen_on_the_left():
    assert mean_position_mm(Material.LIVER, 60.0)[0] < -40
    assert mean_position_mm(Material.SPLEEN, 75.0)[0] > 80


def test_gas_lies_in_front_of_gut_content():
    assert mean_position_mm(Material.GUT_GAS, 75.0)[1] < mean_position_mm(Material.GUT_CONTENT, 75.0)[1]


@pytest.mark.parametrize("z_mm", HEIGHTS_MM)
def test_body_is_closed_by_skin(z_mm):
    material = make_plane(z_mm)
    inside = TISSUE_OF_MATERIAL[material] != PhantomTissue.OUTSIDE

    edge = inside & ~ndimage.binary_erosion(inside)

    assert set(np.unique(material[edge])) == {Material.SKIN}
    assert ndimage.label(inside)[1] == 1


@pytest.mark.parametrize("z_mm", HEIGHTS_MM)
def test_wall_parts_the_two_fats_everywhere(z_mm):
    tissue = TISSUE_OF_MATERIAL[make_plane(z_mm)]

    near_visceral = ndimage.binary_dilation(tissue == PhantomTissue.VISCERAL_FAT, iterations=2)

    assert not np.any(near_visceral & (tissue == PhantomTissue.SUBCUTANEOUS_FAT))


@pytest.mark.parametrize("z_mm", HEIGHTS_MM)
def test_table_does_not_touch_the_body(z_mm):
    material = make_plane(z_mm)
    inside = TISSUE_OF_MATERIAL[material] != PhantomTissue.OUTSIDE

    assert not np.any(ndimage.binary_dilation(inside, iterations=2) & (material == Material.TABLE))


def test_without_table_there_is_air_only():
    material = make_plane(0.0, table=False)

    outside = TISSUE_OF_MATERIAL[material] == PhantomTissue.OUTSIDE

    assert set(np.unique(HU_OF_MATERIAL[material[outside]])) == {-1000}


def test_canal_is_never_bone():
    column, row = np.abs(X_MM).argmin(), np.abs(Y_MM - 59).argmin()

    assert {int(make_plane(float(z_mm))[row, column]) for z_mm in range(-90, 90, 5)} == {Material.CANAL}


def test_vertebrae_and_discs_take_turns():
    column, row = np.abs(X_MM).argmin(), np.abs(Y_MM - 33).argmin()

    met = [int(make_plane(float(z_mm))[row, column]) for z_mm in range(-90, 90, 2)]

    changes_to_disc = sum(after == Material.DISC != before for before, after in pairwise(met))
    assert changes_to_disc == 5


def test_ribs_lie_in_the_upper_half_only():
    ribs = {float(z): bool(np.any(make_plane(float(z)) == Material.RIB_CORTEX)) for z in range(-90, 95, 5)}

    assert not any(found for z, found in ribs.items() if z < 0)
    assert all(found for z, found in ribs.items() if z >= 30)


def test_fascia_of_the_waist_is_narrowest_forty_mm_below_the_middle():
    widths = {z: np.ptp(np.nonzero(make_plane(float(z)) == Material.MUSCLE)[1]) for z in (-100, -40, 20)}

    assert widths[-40] < min(widths[-100], widths[20])
