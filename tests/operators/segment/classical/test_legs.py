"""segment_legs on the leg phantom: whose volumes, areas and attenuations are known."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.readings import HU, allowed_of, shells_cm2
from mapnode.phantom.degrade import add_noise, blur
from mapnode.phantom.leg_anatomy import LegShape
from mapnode.phantom.leg_anatomy import LegTissue as Truth
from mapnode.phantom.legs import (
    SIDES,
    TISSUES,
    LegPhantom,
    LegPhantomParameters,
    LegTruth,
    build_leg_phantom,
    leg_truth,
    random_leg_parameters,
)
from mapnode.phantom.lesions import Lesion, add_lesions
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom
from operators.segment.classical.leg_sides import LegSegmentationError
from operators.segment.classical.legs import RIGHT_LEG, LegSegmentation, LegTissue, segment_legs

LABELS = dict(zip(TISSUES, (LegTissue.BONE, LegTissue.SAT, LegTissue.IMAT, LegTissue.MUSCLE), strict=True))
THIGH = LegPhantomParameters(slices=8, spacing_mm=(5.0, 2.0, 2.0), centre_z_mm=230.0, gap_mm=10.0)


def label_of(name: str, side: str) -> int:
    return LABELS[name] + (RIGHT_LEG if side == "right" else 0)


def true_mask(phantom: LegPhantom, name: str, side: str) -> np.ndarray:
    return (phantom.truth_labels == Truth[name.upper()]) & (phantom.truth_side == SIDES[side])


def volumes_ml(found: LegSegmentation, parameters: LegPhantomParameters) -> dict[str, float]:
    voxel_ml = float(np.prod(parameters.spacing_mm)) / 1000
    return {
        f"{name}_{side}": float((found.labels == label_of(name, side)).sum()) * voxel_ml
        for name in TISSUES
        for side in SIDES
    }


def segmented(parameters: LegPhantomParameters) -> tuple[LegPhantom, LegSegmentation]:
    phantom = build_leg_phantom(parameters)
    return phantom, segment_legs(phantom.hu, parameters.spacing_mm)


@pytest.fixture(scope="module")
def whole() -> tuple[LegPhantomParameters, LegPhantom, LegSegmentation]:
    parameters = random_leg_parameters(np.random.default_rng(40), 5.0, pixel_mm=2.5)
    return parameters, *segmented(parameters)


@pytest.fixture(scope="module")
def truth(whole) -> LegTruth:
    return leg_truth(whole[0])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", TISSUES)
def test_volumes_and_attenuations_of_random_legs_hold(whole, truth, name, side):
    parameters, phantom, found = whole
    true_ml = truth.volume_ml[f"{name}_{side}"]
    shell_ml = float(shells_cm2(true_mask(phantom, name, side), 2.5).sum()) * parameters.spacing_mm[0] / 10

    assert volumes_ml(found, parameters)[f"{name}_{side}"] == pytest.approx(true_ml, abs=allowed_of(true_ml, shell_ml))
    mean_hu = phantom.hu[found.labels == label_of(name, side)].mean()
    # The cortex has 1000 HU beside 55: a shell of a hundredth of the bone's volume is 10 HU of its mean.
    assert mean_hu == pytest.approx(truth.mean_hu[f"{name}_{side}"], abs=10 if name == "bone" else HU)


@pytest.mark.parametrize("side", SIDES)
def test_femur_is_found_within_a_slice_at_either_end(whole, side):
    parameters, _, found = whole
    femur, slices = found.femora[side], np.arange(parameters.slices)

    ends = np.interp([femur.knee, femur.top], slices, parameters.centres_z_mm)

    assert ends == pytest.approx(parameters.femur_z_mm(side), abs=parameters.spacing_mm[0])


def test_no_pelvis_is_seen_where_there_is_none(whole):
    assert whole[2].pelvis_slice is None


def test_marrow_of_fat_is_bone(whole):
    _, phantom, found = whole

    marrow = (phantom.truth_labels == Truth.BONE) & (phantom.hu == -60)

    assert marrow.sum() > 1000
    assert np.isin(found.labels[marrow], (LegTissue.BONE, LegTissue.BONE + RIGHT_LEG)).mean() > 0.99


def test_nothing_outside_the_legs_is_labelled(whole):
    _, phantom, found = whole

    assert not found.labels[phantom.truth_labels == Truth.OUTSIDE].any()


@pytest.mark.parametrize("gap_mm", [40.0, 0.0, -12.0])
def test_no_voxel_is_given_to_the_other_leg_even_where_thighs_press(gap_mm):
    phantom, found = segmented(replace(THIGH, gap_mm=gap_mm, centre_z_mm=420.0))

    left, right = (found.labels > 0) & (found.labels <= RIGHT_LEG), found.labels > RIGHT_LEG

    assert not (left & (phantom.truth_side < 0)).any()
    assert not (right & (phantom.truth_side > 0)).any()


@pytest.mark.parametrize("spacing_mm", [(2.5, 1.0, 1.0), (10.0, 4.0, 4.0), (5.0, 1.0, 2.0)])
def test_resolution_changes_volumes_by_less_than_half_a_coarse_pixel_around_them(spacing_mm):
    coarse = max(spacing_mm[1:])
    parameters = replace(THIGH, spacing_mm=spacing_mm, slices=round(40 / spacing_mm[0]))

    phantom, found = segmented(parameters)

    truth, volumes = leg_truth(parameters).volume_ml, volumes_ml(found, parameters)
    for key, true_ml in truth.items():
        mask = true_mask(phantom, *key.rsplit("_", 1))
        edges = sum(np.diff(mask, axis=axis).sum() * spacing_mm[3 - axis] for axis in (1, 2))
        shell_ml = np.pi / 4 * edges * coarse / 2 * spacing_mm[0] / 1000
        assert volumes[key] == pytest.approx(true_ml, abs=allowed_of(true_ml, shell_ml)), key


@pytest.mark.parametrize("roll_deg", [-20.0, 12.0, 30.0])
def test_rolling_the_patient_changes_volumes_by_less_than_is_allowed(roll_deg):
    parameters = replace(THIGH, roll_deg=roll_deg, field_mm=(480.0, 480.0))
    phantom, found = segmented(parameters)

    truth, volumes = leg_truth(parameters).volume_ml, volumes_ml(found, parameters)

    for key, true_ml in truth.items():
        shell_ml = float(shells_cm2(true_mask(phantom, *key.rsplit("_", 1)), 2.0).sum()) * 0.5
        assert volumes[key] == pytest.approx(true_ml, abs=allowed_of(true_ml, shell_ml)), key


def test_noise_of_20_hu_and_blur_of_a_soft_kernel_change_muscle_and_fat_below_the_skin_little():
    phantom = build_leg_phantom(THIGH)
    degraded = add_noise(blur(phantom.hu, THIGH.spacing_mm, 1.5), 20.0, seed=1)

    found = segment_legs(degraded, THIGH.spacing_mm)

    truth, volumes = leg_truth(THIGH).volume_ml, volumes_ml(found, THIGH)
    for side in SIDES:
        assert volumes[f"skeletal_muscle_{side}"] == pytest.approx(truth[f"skeletal_muscle_{side}"], rel=0.02)
        assert volumes[f"subcutaneous_fat_{side}"] == pytest.approx(truth[f"subcutaneous_fat_{side}"], rel=0.04)


def test_lean_and_stout_legs_are_measured_alike():
    for fat_mm in (4.0, 45.0):
        shape = LegShape(fat_mm=fat_mm)
        parameters = replace(THIGH, left=shape, right=shape, field_mm=(400.0, 700.0))
        phantom, found = segmented(parameters)

        true_ml = leg_truth(parameters).volume_ml["subcutaneous_fat_left"]
        shell_ml = float(shells_cm2(true_mask(phantom, "subcutaneous_fat", "left"), 2.0).sum()) * 0.5
        measured = volumes_ml(found, parameters)["subcutaneous_fat_left"]
        assert measured == pytest.approx(true_ml, abs=allowed_of(true_ml, shell_ml))


def test_from_the_ischium_upwards_nothing_is_labelled():
    parameters = replace(THIGH, slices=40, centre_z_mm=330.0)
    phantom = build_leg_phantom(parameters)
    ischia = [Lesion((x, 45.0, 400.0), (14.0, 18.0, 30.0), value=700.0) for x in (-55.0, 55.0)]
    lowest = int(np.searchsorted(parameters.centres_z_mm, 400.0 - 30.0))

    found = segment_legs(add_lesions(phantom.hu, phantom.affine_lps, ischia), parameters.spacing_mm)

    assert found.pelvis_slice == pytest.approx(lowest, abs=1)
    assert found.labels[found.pelvis_slice - 1].any()
    assert not found.labels[found.pelvis_slice :].any()


def test_femur_that_the_scan_cuts_off_is_not_measured_along():
    _, found = segmented(LegPhantomParameters(slices=60, spacing_mm=(5.0, 3.0, 3.0), centre_z_mm=100.0))

    assert found.femora == {}


def test_pelvis_without_a_femoral_head_at_its_top_is_no_femur():
    # A bone that runs on above the head as an ilium does: the top of the bone is not the top of the femur.
    parameters = LegPhantomParameters(slices=120, spacing_mm=(5.0, 3.0, 3.0), centre_z_mm=230.0)
    phantom = build_leg_phantom(parameters)
    heads = [Lesion((x, 0.0, 470.0), (9.0, 55.0, 60.0), value=700.0) for x in (-75.0, 75.0)]

    found = segment_legs(add_lesions(phantom.hu, phantom.affine_lps, heads), parameters.spacing_mm)

    assert found.femora == {}


class TestRefusals:
    def test_one_leg_alone(self):
        phantom = build_leg_phantom(THIGH)
        hu = np.where(phantom.truth_side == -1, -1000, phantom.hu).astype(np.int16)

        with pytest.raises(LegSegmentationError, match="Two legs side by side"):
            segment_legs(hu, THIGH.spacing_mm)

    @pytest.mark.parametrize("centre_z_mm", [-60.0, 60.0])
    def test_a_trunk(self, centre_z_mm):
        phantom = build_trunk_phantom(
            TrunkPhantomParameters(slices=16, spacing_mm=(5.0, 3.0, 3.0), centre_z_mm=centre_z_mm)
        )

        with pytest.raises(LegSegmentationError, match=r"Two legs|widest gap"):
            segment_legs(phantom.hu, (5.0, 3.0, 3.0))

    @pytest.mark.parametrize("hu", [-1000, 0])
    def test_air_and_water(self, hu):
        with pytest.raises(LegSegmentationError, match="No leg"):
            segment_legs(np.full((12, 60, 60), hu, dtype=np.int16), (5.0, 4.0, 4.0))
