"""TrunkBody: other trunks have the volumes that follow from their factors, and stay whole."""

import numpy as np
import pytest
from scipy import ndimage

from mapnode.phantom.anatomy import TISSUE_OF_MATERIAL, Material, PhantomTissue, material_plane, outlines_at
from mapnode.phantom.shapes import Plane
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom, trunk_areas_cm2
from mapnode.phantom.trunk_body import TrunkBody, random_trunk_body

X_MM, Y_MM = np.arange(-240, 240, 2.0) + 1, np.arange(-192, 192, 2.0) + 1


def truth(body: TrunkBody, slices: int = 6, thickness_mm: float = 5.0):
    parameters = TrunkPhantomParameters(slices=slices, spacing_mm=(thickness_mm, 6.0, 6.0), body=body)
    return dict(build_trunk_phantom(parameters).truth_volume_ml)


def test_larger_body_has_as_much_more_of_every_tissue_but_for_its_skin():
    usual, large = truth(TrunkBody()), truth(TrunkBody(1.1, 1.2, 1.25), thickness_mm=6.25)

    factor = 1.1 * 1.2 * 1.25
    for name in ("body", "bone", "visceral_fat", "skeletal_muscle"):
        assert large[name] == pytest.approx(usual[name] * factor, rel=2e-3)
    # The skin stays 2 mm thick: fat below it gains what a scaled skin would have taken.
    assert usual["subcutaneous_fat"] * factor < large["subcutaneous_fat"] < usual["subcutaneous_fat"] * factor * 1.02


def test_stouter_body_has_the_fat_of_its_superellipses_and_the_same_inside():
    usual, stout = truth(TrunkBody()), truth(TrunkBody(fat=1.6))

    heights = (np.arange(300) + 0.5) / 300 * 30 - 15
    outlines = [outlines_at(z, TrunkBody(fat=1.6)) for z in heights]
    exact_ml = np.mean([o.under_skin.area_mm2() - o.fascia.area_mm2() for o in outlines]) * 30 / 1000
    assert stout["subcutaneous_fat"] == pytest.approx(exact_ml, rel=1e-3)
    for name in ("bone", "visceral_fat", "skeletal_muscle"):
        assert stout[name] == pytest.approx(usual[name], rel=2e-3)


def test_areas_times_thickness_add_up_to_the_volumes():
    parameters = TrunkPhantomParameters(slices=40, spacing_mm=(1.0, 6.0, 6.0), body=TrunkBody(fat=0.7))

    areas, volumes = trunk_areas_cm2(parameters, range(40)), build_trunk_phantom(parameters).truth_volume_ml

    for name, volume_ml in volumes.items():
        assert areas[name].sum() / 10 == pytest.approx(volume_ml, rel=5e-3)


@pytest.mark.parametrize("seed", range(4))
def test_random_bodies_are_closed_by_skin_and_lie_in_the_field_beside_the_table(seed):
    body = random_trunk_body(np.random.default_rng(seed))
    for z_mm in (-140.0, 0.0, 140.0):
        material = material_plane(Plane(X_MM, Y_MM, z_mm), table=True, body=body)
        inside = TISSUE_OF_MATERIAL[material] != PhantomTissue.OUTSIDE
        edge = inside & ~ndimage.binary_erosion(inside)
        assert set(np.unique(material[edge])) == {Material.SKIN}
        assert not inside[[0, -1]].any()
        assert not inside[:, [0, -1]].any()
        assert not np.any(ndimage.binary_dilation(inside) & (material == Material.TABLE))


def test_equal_states_of_chance_give_equal_bodies():
    first, second = (random_trunk_body(np.random.default_rng(5)) for _ in range(2))

    assert first == second != random_trunk_body(np.random.default_rng(6))


def test_body_without_extent_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        TrunkBody(fat=0.0)
