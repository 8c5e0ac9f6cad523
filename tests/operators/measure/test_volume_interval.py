"""Volume interval: the quantiles of the volume under voxels that err together, and nothing without probabilities."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from operators.core.probability_map import ProbabilityMap
from operators.measure.measure_segments import measure_segments
from operators.measure.volume_interval import volume_interval
from operators.runtime.sdk import Application
from operators.write.write_measurement_report import ReportParameters, WriteMeasurementReport
from tests.builders import TISSUES, make_label_map, make_volume
from tests.judges import dciodvfy_errors
from tests.operators.write.test_write_measurement_report import group_of, make_inputs, numbers

FAT = TISSUES[2]
VOLUME = make_volume()


def with_probabilities(probabilities, segments=(FAT,)):
    label_map = make_label_map(VOLUME)
    arrays = tuple(np.array(probabilities, dtype=np.float32, copy=True) for _ in segments)
    return dataclasses.replace(
        label_map, probabilities=ProbabilityMap(arrays, label_map.affine_lps, segments, label_map.algorithm)
    )


def values(label_map, voxel_mm3=2000.0):
    return [value.value for value in volume_interval(label_map, FAT, voxel_mm3)]


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), sharpness=st.floats(0.1, 5))
def test_the_interval_has_the_quantiles_of_volumes_drawn_with_one_threshold(seed, sharpness):
    """The judge draws u for whole masks {p > u} and counts voxels."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(sharpness, sharpness, VOLUME.array.shape).astype(np.float32)
    drawn = [(probabilities > u).sum() * 2.0 for u in (np.arange(2000) + 0.5) / 2000]

    low, high = values(with_probabilities(probabilities))

    step = 2.0 * (1 + 0.01 * probabilities.size)
    assert low == pytest.approx(np.quantile(drawn, 0.05), abs=step)
    assert high == pytest.approx(np.quantile(drawn, 0.95), abs=step)


def test_an_engine_that_is_sure_has_no_interval():
    mask = make_label_map(VOLUME).mask(FAT)

    assert values(with_probabilities(mask)) == [2.0 * mask.sum()] * 2


def test_limits_belong_to_the_interval():
    assert values(with_probabilities(np.full(VOLUME.array.shape, 0.95))) == [2.0 * VOLUME.array.size] * 2
    assert values(with_probabilities(np.full(VOLUME.array.shape, 0.05))) == [0.0, 2.0 * VOLUME.array.size]


def test_without_probabilities_of_a_segment_there_is_no_interval():
    assert volume_interval(make_label_map(VOLUME), FAT, 1.0) == ()
    assert volume_interval(with_probabilities(np.ones(VOLUME.array.shape)), TISSUES[0], 1.0) == ()


def test_the_interval_stands_beside_the_volume_in_a_valid_report(tmp_path):
    label_map = with_probabilities(np.full(VOLUME.array.shape, 0.5))
    inputs = make_inputs(tmp_path, VOLUME)
    inputs |= {"measurements": measure_segments(VOLUME, label_map)}

    written = WriteMeasurementReport(Application(), ReportParameters(tmp_path)).process(**inputs)

    found = {
        code: value
        for concept, code, value, _ in numbers(group_of(dcmread(written.path), inputs, FAT))
        if concept == "118565006"
    }
    assert found["PERCENTILE-05"] == 0
    assert found["PERCENTILE-95"] == pytest.approx(VOLUME.array.size * VOLUME.voxel_volume_mm3 / 1000)
    assert found[""] < found["PERCENTILE-95"]
    assert dciodvfy_errors(written.path) == []
