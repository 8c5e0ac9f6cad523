"""Trunk phantom: a sampled body whose truth does not come from its voxels."""

import numpy as np
import pytest

from mapnode.phantom.anatomy import PhantomTissue, outlines_at
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom

TISSUES = {
    "bone": PhantomTissue.BONE,
    "subcutaneous_fat": PhantomTissue.SUBCUTANEOUS_FAT,
    "visceral_fat": PhantomTissue.VISCERAL_FAT,
    "skeletal_muscle": PhantomTissue.SKELETAL_MUSCLE,
    "intermuscular_fat": PhantomTissue.INTERMUSCULAR_FAT,
}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return build_trunk_phantom()


def make_small(**changes: object) -> Phantom:
    parameters = {"slices": 6, "spacing_mm": (5.0, 4.0, 3.0)} | changes
    return build_trunk_phantom(TrunkPhantomParameters(**parameters))


def counted_ml(phantom: Phantom) -> dict[str, float]:
    voxel_ml = abs(np.linalg.det(phantom.affine_lps)) / 1000
    counted = {name: np.count_nonzero(phantom.truth_labels == tissue) * voxel_ml for name, tissue in TISSUES.items()}
    return counted | {"body": np.count_nonzero(phantom.truth_labels) * voxel_ml}


def test_counted_voxels_come_within_half_a_percent_of_the_truth(phantom):
    assert counted_ml(phantom) == pytest.approx(dict(phantom.truth_volume_ml), rel=0.005)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.2, 1.6), (2.5, 0.9, 0.9), (5.0, 1.2, 1.6)])
def test_counted_voxels_come_within_one_percent_on_any_grid(spacing_mm):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=round(150 / spacing_mm[0]), spacing_mm=spacing_mm))

    assert counted_ml(phantom) == pytest.approx(dict(phantom.truth_volume_ml), rel=0.01)


def test_truth_does_not_depend_on_the_voxel_grid():
    fine = build_trunk_phantom(TrunkPhantomParameters(slices=30, spacing_mm=(1.0, 2.0, 2.0)))
    coarse = build_trunk_phantom(TrunkPhantomParameters(slices=6, spacing_mm=(5.0, 4.0, 3.0)))

    assert fine.truth_volume_ml == coarse.truth_volume_ml
    assert fine.truth_mean_hu == coarse.truth_mean_hu


def test_integrated_body_equals_the_exact_superellipses(phantom):
    heights = (np.arange(4000) + 0.5) / 4000 * 192 - 96

    exact_ml = np.mean([outlines_at(z).body.area_mm2() for z in heights]) * 192 / 1000

    assert phantom.truth_volume_ml["body"] == pytest.approx(exact_ml, rel=1e-4)


def test_integrated_subcutaneous_fat_equals_the_exact_superellipses(phantom):
    heights = (np.arange(4000) + 0.5) / 4000 * 192 - 96
    outlines = [outlines_at(z) for z in heights]

    exact_ml = np.mean([o.under_skin.area_mm2() - o.fascia.area_mm2() for o in outlines]) * 192 / 1000

    assert phantom.truth_volume_ml["subcutaneous_fat"] == pytest.approx(exact_ml, rel=1e-4)


def test_true_volumes_stay_what_they_are(phantom):
    expected = {
        "body": 12590.2,
        "bone": 335.2,
        "subcutaneous_fat": 3710.9,
        "visceral_fat": 2686.6,
        "skeletal_muscle": 2377.1,
        "intermuscular_fat": 48.3,
    }

    assert dict(phantom.truth_volume_ml) == pytest.approx(expected, abs=0.1)


def test_mean_attenuation_of_muscle_and_fat_is_that_of_the_material(phantom):
    assert phantom.truth_mean_hu["skeletal_muscle"] == pytest.approx(55)
    assert phantom.truth_mean_hu["visceral_fat"] == pytest.approx(-100)
    assert phantom.truth_mean_hu["subcutaneous_fat"] == pytest.approx(-105)


def test_equal_parameters_give_equal_bytes():
    first, second = (make_small(noise_hu=20.0, blur_mm=1.0, seed=3) for _ in range(2))

    assert first.hu.tobytes() == second.hu.tobytes()
    assert first.truth_labels.tobytes() == second.truth_labels.tobytes()


def test_another_seed_gives_other_noise_and_the_same_labels():
    first, second = (make_small(noise_hu=20.0, seed=seed) for seed in (1, 2))

    assert not np.array_equal(first.hu, second.hu)
    assert np.array_equal(first.truth_labels, second.truth_labels)


def test_noise_has_the_asked_strength():
    noise = make_small(noise_hu=20.0).hu.astype(float) - make_small().hu

    inside = make_small().truth_labels == PhantomTissue.SUBCUTANEOUS_FAT
    assert noise[inside].std() == pytest.approx(20, rel=0.05)


def test_blur_keeps_the_mean_and_softens_the_edges():
    sharp, blurred = make_small().hu, make_small(blur_mm=3.0).hu

    assert blurred.mean() == pytest.approx(sharp.mean(), abs=0.5)
    assert len(np.unique(sharp)) < 25 < len(np.unique(blurred))


def test_arrays_have_the_promised_types():
    phantom = make_small()

    assert (phantom.hu.dtype, phantom.truth_labels.dtype) == (np.int16, np.uint8)
    assert phantom.hu.shape == phantom.truth_labels.shape == (6, 96, 128)


def test_affine_puts_the_middle_of_the_stack_at_its_centre():
    phantom = make_small(centre_z_mm=40.0)

    middle = phantom.affine_lps @ [2.5, 47.5, 63.5, 1]

    assert middle == pytest.approx([0, 0, 40, 1])
    assert phantom.affine_lps[:3, :3] == pytest.approx(np.array([[0, 0, 3], [0, 4, 0], [5, 0, 0]]))


def test_body_lies_whole_in_the_field_of_view(phantom):
    for axis in (1, 2):
        edges = np.take(phantom.truth_labels, [0, -1], axis=axis)
        assert not edges.any()


@pytest.mark.parametrize(
    "changes",
    [{"slices": 0}, {"spacing_mm": (0.0, 1.0, 1.0)}, {"noise_hu": -1.0}, {"slices": 200}, {"centre_z_mm": 150.0}],
)
def test_parameters_that_cannot_be_sampled_are_refused(changes):
    with pytest.raises(ValueError, match=r"phantom needs|cannot be negative|anatomy ends"):
        TrunkPhantomParameters(**changes)


def test_intermuscular_fat_is_two_clefts_of_ellipses(phantom):
    # 8 mm wide and 20 mm deep, on both sides, over 192 mm; they taper by less than a permille there.
    exact_ml = 2 * np.pi * 4 * 10 * 192 / 1000

    assert phantom.truth_volume_ml["intermuscular_fat"] == pytest.approx(exact_ml, rel=2e-3)
    assert phantom.truth_mean_hu["intermuscular_fat"] == pytest.approx(-95)
