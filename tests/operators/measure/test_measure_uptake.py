"""MeasureUptake: SUVpeak as brute force finds it, MTV and TLG by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.core.segmented_regions import Grid, SegmentedObject, SegmentedRegions
from operators.measure.measure_uptake import (
    PEAK_RADIUS_MM,
    MeasureUptakeParameters,
    measure_uptake,
    suv_peak,
)
from tests.builders import ALGORITHM, OBLIQUE, make_affine, make_volume
from tests.operators.core.test_segmented_regions import region_of
from tests.segmented import blob

SHAPE = (9, 10, 11)


def set_pet(header, _index):
    header.Modality = "PT"


def make_pet(suv, affine_lps):
    return replace(make_volume(np.zeros(suv.shape, np.int16), affine_lps, edit=set_pet), array=suv.copy())


def regions_on(mask, affine_lps):
    region = region_of(mask, affine_lps)
    return SegmentedRegions((SegmentedObject(None, "BINARY", (region,)),), region.grid, ALGORITHM)


def example(_tmp_path):
    suv = np.random.default_rng(1).random(SHAPE).astype(np.float32) * 9
    affine = make_affine()
    return MeasureUptakeParameters(), {
        "values": make_pet(suv, affine),
        "label_map": regions_on(blob(SHAPE, (4, 5, 5), (2, 3, 3)), affine),
    }


DEFAULT = MeasureUptakeParameters()


def measured(suv, mask, parameters=DEFAULT):
    affine_lps = make_affine()
    (found,) = measure_uptake(make_pet(suv, affine_lps), regions_on(mask, affine_lps), parameters)
    return {value.quantity.name: value for value in found.values}


def peak_by_brute_force(suv, mask, affine_lps):
    places = np.argwhere(np.ones(suv.shape, bool)) @ affine_lps[:3, :3].T
    means = []
    for index in np.argwhere(mask):
        near = np.linalg.norm(places - affine_lps[:3, :3] @ index, axis=1) <= PEAK_RADIUS_MM
        means.append(suv.reshape(-1)[near].mean(dtype=float))
    return max(means)


@settings(max_examples=25)
@given(st.integers(0, 1000), st.tuples(*[st.floats(1.5, 7)] * 3), st.booleans())
def test_peak_is_the_highest_mean_of_all_spheres_in_the_segment(seed, spacing_mm, at_the_border):
    rng = np.random.default_rng(seed)
    suv = rng.random(SHAPE).astype(np.float32)
    mask = blob(SHAPE, (0, 9, 5) if at_the_border else (4, 5, 5), (2, 3, 3)) & (rng.random(SHAPE) > 0.3)
    affine = make_affine(OBLIQUE, spacing_mm)
    box = region_of(mask, affine).box

    if mask.any():
        found = suv_peak(suv, box, Grid(SHAPE, affine.copy()))
        assert found == pytest.approx(peak_by_brute_force(suv, mask, affine), rel=1e-9)


def test_padding_is_in_no_sphere_and_has_none():
    rng = np.random.default_rng(2)
    mask, affine = blob(SHAPE, (4, 5, 5), (2, 3, 3)), make_affine(spacing_mm=(4.0, 3.0, 3.0))
    suv, padding = rng.random(SHAPE), rng.random(SHAPE) < 0.2
    pet = replace(make_pet(np.where(padding, -3e4, suv), affine), padding=padding)

    (found,) = measure_uptake(pet, regions_on(mask, affine), DEFAULT)

    kept = ~padding
    places = np.argwhere(kept) @ affine[:3, :3].T
    centres = np.argwhere(mask & kept) @ affine[:3, :3].T
    peaks = [suv[kept][np.linalg.norm(places - centre, axis=1) <= PEAK_RADIUS_MM].mean() for centre in centres]
    assert (mask & padding).any()
    assert found.values[0].value == pytest.approx(max(peaks))


def test_a_sphere_of_a_cubic_centimetre_of_ones_in_nothing_has_a_peak_of_one():
    spacing = 0.5
    mask = np.sqrt(sum(((g - 16) * spacing) ** 2 for g in np.ogrid[:33, :33, :33])) <= PEAK_RADIUS_MM
    suv = mask.astype(np.float32)
    affine = make_affine(spacing_mm=(spacing,) * 3)

    assert mask.sum() * spacing**3 == pytest.approx(1000, rel=0.01)
    assert suv_peak(suv, region_of(mask, affine).box, Grid(mask.shape, affine.copy())) == pytest.approx(1.0)


def test_volume_and_glycolysis_count_voxels_from_the_threshold_on():
    suv, mask = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, bool)
    mask[2, 3, 2:8] = True
    suv[2, 3, 2:8] = [1.0, 4.0, 4.2, 10.0, 5.0, 3.9]
    voxel_ml = 3.0 * 0.8 * 0.6 / 1000

    relative, fixed = (measured(suv, mask, parameters) for parameters in (
        MeasureUptakeParameters(), MeasureUptakeParameters(suv=4.0)
    ))  # fmt: skip

    assert relative["mtv_ml"].value == pytest.approx(3 * voxel_ml)
    assert relative["tlg_g"].value == pytest.approx((4.2 + 10 + 5) * voxel_ml, rel=1e-6)
    assert fixed["mtv_ml"].value == pytest.approx(4 * voxel_ml)
    assert "41% of SUVmax" in relative["mtv_ml"].quantity.definition
    assert "SUVbw >= 4 g/mL" in fixed["tlg_g"].quantity.definition


@pytest.mark.parametrize("parameters", [MeasureUptakeParameters(), MeasureUptakeParameters(suv=4.1)])
def test_a_voxel_that_is_the_threshold_counts_whatever_the_factor_to_suv(parameters):
    mask = np.zeros(SHAPE, bool)
    mask[2, 3, 2:5] = True
    stored = np.zeros(SHAPE, np.int16)
    voxel_ml = 3.0 * 0.8 * 0.6 / 1000

    for scanned in range(1000, 3000, 100):
        stored[2, 3, 2:5] = [scanned * 41 // 100, scanned, scanned * 41 // 100 - 1]
        suv = np.multiply(stored, 10.0 / scanned, dtype=np.float32)
        assert measured(suv, mask, parameters)["mtv_ml"].value == pytest.approx(2 * voxel_ml)


def test_a_threshold_that_nothing_reaches_leaves_no_volume():
    found = measured(np.ones(SHAPE, np.float32), blob(SHAPE, (4, 5, 5), (2, 3, 3)), MeasureUptakeParameters(suv=4.0))

    assert (found["mtv_ml"].value, found["tlg_g"].value) == (0.0, 0.0)


@pytest.mark.parametrize("background", [0.0, -0.2])
def test_a_segment_without_uptake_has_no_metabolic_volume(background):
    found = measured(np.full(SHAPE, background, np.float32), blob(SHAPE, (4, 5, 5), (2, 3, 3)))

    assert (found["mtv_ml"].value, found["tlg_g"].value) == (0.0, 0.0)


def test_of_a_ct_nothing_is_measured():
    affine = make_affine()
    volume = make_volume(np.ones(SHAPE, np.int16), affine)

    (found,) = measure_uptake(volume, regions_on(np.ones(SHAPE, bool), affine), MeasureUptakeParameters())

    assert found.values == ()


def test_an_empty_segment_has_no_uptake():
    assert measured(np.ones(SHAPE, np.float32), np.zeros(SHAPE, bool)) == {}


@pytest.mark.parametrize("wrong", [{"fraction_of_max": 1.1}, {"fraction_of_max": -0.1}, {"suv": -1.0}])
def test_thresholds_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="it "):
        MeasureUptakeParameters(**wrong)
