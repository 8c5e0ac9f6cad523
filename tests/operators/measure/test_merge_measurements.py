"""MergeMeasurements: all numbers of a segment, of no other."""

import pytest

from operators.core.measurements import Measurement, SegmentMeasurements
from operators.measure.measure_diameters import LONG_AXIS, Diameters
from operators.measure.measure_segments import MEAN_HU, VOLUME
from operators.measure.merge_measurements import merge_measurements


def of(name, *values, voxels=3):
    return SegmentMeasurements(name, voxels, tuple(values))


def example(_tmp_path):
    inputs = {
        "shapes": (of("a", Measurement(VOLUME, 1.0)), of("b", Measurement(VOLUME, 2.0))),
        "intensities": (of("a", Measurement(MEAN_HU, 40.0)), of("b")),
        "uptake": (of("a"), of("b")),
        "diameters": (Diameters(of("a", Measurement(LONG_AXIS, 9.0))), Diameters(of("b"))),
    }
    return None, inputs


def test_values_follow_each_other_segment_by_segment():
    merged = merge_measurements(
        (of("a", Measurement(VOLUME, 1.0)), of("b")), (of("a"), of("b", Measurement(MEAN_HU, 2.0)))
    )

    assert merged == (of("a", Measurement(VOLUME, 1.0)), of("b", Measurement(MEAN_HU, 2.0)))


@pytest.mark.parametrize("other", [(of("b"),), (of("a", voxels=4),), ()])
def test_numbers_of_different_segments_are_not_mixed(other):
    with pytest.raises(ValueError, match=r"no one segment's|shorter"):
        merge_measurements((of("a"),), other)
