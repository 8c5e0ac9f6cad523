"""MeasureSegments: boxes whose volume is known, and numpy's mean and SD."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.measure.measure_segments import measure_segments
from tests.builders import ALGORITHM, OBLIQUE, TISSUES, make_affine, make_label_map, make_volume

BONE = TISSUES[1:2]


def example(_tmp_path):
    volume = make_volume()
    return None, {"volume": volume, "label_map": make_label_map(volume)}


def measured(array, labels, affine_lps=None, segments=TISSUES) -> dict[str, dict[str, float]]:
    affine_lps = make_affine() if affine_lps is None else affine_lps
    volume = Volume(np.array(array), affine_lps, "1.2", ())
    label_map = LabelMap(np.array(labels, np.uint8), affine_lps, segments, ALGORITHM)
    return {
        of_segment.segment_name: {value.quantity.name: value.value for value in of_segment.values}
        for of_segment in measure_segments(volume, label_map)
    }


def test_volume_of_a_box_is_its_edges_multiplied():
    labels = np.zeros((20, 20, 20))
    labels[5:15, 2:12, 4:9] = 2

    values = measured(np.zeros(labels.shape), labels, make_affine(OBLIQUE, (3.0, 0.8, 0.6)))

    assert values["bone"]["volume_ml"] == pytest.approx((10 * 3.0) * (10 * 0.8) * (5 * 0.6) / 1000)


def test_segments_that_take_in_others_hold_all_their_voxels():
    labels = np.array([[[1, 1, 2, 2], [3, 3, 3, 0]]])

    values = measured(np.zeros(labels.shape), labels, make_affine(spacing_mm=(10, 10, 10)))

    assert {name: of["volume_ml"] for name, of in values.items()} == {"body": 7, "bone": 2, "fat": 3, "muscle": 0}


def test_mean_and_sd_are_those_of_the_masked_voxels():
    volume = make_volume(np.random.default_rng(7).integers(-1000, 2000, (12, 6, 5)).astype(np.int16))
    label_map = make_label_map(volume)

    for of_segment, segment in zip(measure_segments(volume, label_map), TISSUES[:3], strict=False):
        inside = volume.array[np.isin(label_map.array, segment.labels)]
        values = {value.quantity.name: value.value for value in of_segment.values}
        assert of_segment.voxels == inside.size
        assert values["mean_hu"] == pytest.approx(inside.mean(), abs=1e-5)
        assert values["sd_hu"] == pytest.approx(inside.std(), abs=1e-5)


def test_padding_has_a_volume_and_no_attenuation():
    hu = np.full((2, 3, 4), 50, np.int16)
    padding = np.zeros(hu.shape, dtype=bool)
    padding[:, 0], padding[:, 2] = True, True
    hu[padding] = -2000
    labels = np.zeros(hu.shape, np.uint8)
    labels[:, :2], labels[:, 2] = 2, 3
    volume = replace(make_volume(hu), padding=padding)

    found = {m.segment_name: m for m in measure_segments(volume, make_label_map(volume, labels))}

    bone = {value.quantity.name: value.value for value in found["bone"].values}
    assert (found["bone"].voxels, bone["mean_hu"], bone["sd_hu"]) == (16, 50, 0)
    assert [value.quantity.name for value in found["fat"].values] == ["volume_ml"]


@given(hu=arrays(np.int16, (2, 3, 4), elements=st.integers(-2048, 3071)), shift=st.integers(-500, 500))
def test_shifted_hu_shift_the_mean_and_leave_the_sd(hu, shift):
    labels = np.full(hu.shape, 2)

    before, after = (measured(values, labels, segments=BONE)["bone"] for values in (hu, hu + shift))

    assert after["mean_hu"] == pytest.approx(before["mean_hu"] + shift, abs=1e-4)
    assert after["sd_hu"] == pytest.approx(before["sd_hu"], abs=1e-3)
    assert before["sd_hu"] == pytest.approx(hu.std(), abs=1e-3)


@given(
    spacing=st.tuples(*[st.floats(0.3, 5)] * 3),
    axis=st.integers(0, 2),
    factor=st.floats(0.5, 4),
)
def test_volume_scales_with_each_spacing_and_hu_do_not(spacing, axis, factor):
    hu = np.arange(24).reshape(2, 3, 4)
    labels = np.where(hu % 3, 2, 0)
    scaled = [mm * factor if index == axis else mm for index, mm in enumerate(spacing)]

    before, after = (measured(hu, labels, make_affine(OBLIQUE, mm), BONE)["bone"] for mm in (spacing, scaled))

    assert after["volume_ml"] == pytest.approx(factor * before["volume_ml"], rel=1e-4, abs=2e-6)
    assert (after["mean_hu"], after["sd_hu"]) == (before["mean_hu"], before["sd_hu"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipped_arrays_measure_the_same(axis):
    hu = np.random.default_rng(3).integers(-100, 100, (4, 5, 6))
    labels = np.random.default_rng(4).integers(0, 4, (4, 5, 6))

    assert measured(np.flip(hu, axis), np.flip(labels, axis)) == measured(hu, labels)


def test_volume_uses_positions_not_slice_thickness():
    def thick(header, _index):
        header.SliceThickness = "9"

    volume = make_volume(affine_lps=make_affine(spacing_mm=(3.0, 1.0, 1.0)), edit=thick)
    label_map = make_label_map(volume)

    body = measure_segments(volume, label_map)[0]

    assert body.values[0].value == pytest.approx((label_map.array > 0).sum() * 3.0 / 1000)


def test_empty_segment_has_volume_0_and_no_hu():
    assert measured(np.zeros((2, 2, 2)), np.ones((2, 2, 2)))["muscle"] == {"volume_ml": 0.0}


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_constant_hu_have_no_deviation(dtype):
    values = measured(np.full((4, 5, 6), 1000, dtype), np.full((4, 5, 6), 2))

    assert (values["bone"]["mean_hu"], values["bone"]["sd_hu"]) == (1000, 0)


def test_large_int16_values_do_not_overflow():
    values = measured(np.full((10, 20, 20), 32767, np.int16), np.full((10, 20, 20), 2))

    assert values["bone"]["mean_hu"] == 32767


def test_wrong_grid_is_refused():
    volume = make_volume()
    label_map = make_label_map(make_volume(volume.array[:-1]))

    with pytest.raises(GeometryError):
        measure_segments(volume, label_map)
