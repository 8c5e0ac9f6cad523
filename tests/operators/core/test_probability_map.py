"""ProbabilityMap: one array a segment, of probabilities, on one grid."""

import numpy as np
import pytest

from operators.core.errors import GeometryError, SegmentationError
from operators.core.label_map import require_same_grid
from operators.core.probability_map import ProbabilityMap
from tests.builders import ALGORITHM, TISSUES, make_volume


def make_probabilities(*arrays, segments=TISSUES, affine_lps=None):
    affine_lps = np.eye(4) if affine_lps is None else affine_lps
    return ProbabilityMap(tuple(arrays), affine_lps, segments[: len(arrays)], ALGORITHM)


def test_arrays_are_read_only():
    probabilities = make_probabilities(np.zeros((2, 3, 4)))

    with pytest.raises(ValueError, match="read-only"):
        probabilities.arrays[0][0, 0, 0] = 1


def test_shape_is_that_of_each_array():
    assert make_probabilities(np.zeros((2, 3, 4)), np.ones((2, 3, 4))).shape == (2, 3, 4)


@pytest.mark.parametrize("value", [-0.001, 1.001, np.nan, np.inf])
def test_what_is_no_probability_is_refused(value):
    array = np.zeros((2, 2, 2), np.float32)
    array[1, 0, 1] = value

    with pytest.raises(SegmentationError, match=r"body.*between 0 and 1"):
        make_probabilities(array)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, bool])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(SegmentationError, match=np.dtype(dtype).name):
        make_probabilities(np.zeros((2, 2, 2), dtype))


def test_arrays_and_segments_must_be_as_many():
    with pytest.raises(SegmentationError, match=r"1 arrays.*2 segments"):
        ProbabilityMap((np.zeros((2, 2, 2)),), np.eye(4), TISSUES[:2], ALGORITHM)
    with pytest.raises(SegmentationError, match="0 arrays"):
        ProbabilityMap((), np.eye(4), (), ALGORITHM)


def test_arrays_of_two_shapes_are_refused():
    with pytest.raises(GeometryError, match=r"\(2, 2, 2\).*\(2, 2, 3\)"):
        make_probabilities(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))


def test_grid_of_the_volume_is_asked_for():
    volume = make_volume()
    array = np.zeros(volume.array.shape)
    shifted = volume.affine_lps.copy()
    shifted[0, 3] += 1

    require_same_grid(volume, make_probabilities(array, affine_lps=volume.affine_lps))
    with pytest.raises(GeometryError):
        require_same_grid(volume, make_probabilities(array, affine_lps=shifted))
    with pytest.raises(GeometryError):
        require_same_grid(volume, make_probabilities(array[1:], affine_lps=volume.affine_lps))
