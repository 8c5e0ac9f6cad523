"""LabelMap: segments as sets of labels."""

import numpy as np
import pytest

from tests.builders import TISSUES, make_label_map, make_volume


def test_mask_takes_in_all_labels_of_a_segment():
    label_map = make_label_map(make_volume())

    body, bone, fat, muscle = (label_map.mask(segment) for segment in TISSUES)

    assert np.array_equal(body, label_map.array > 0)
    assert np.array_equal(bone, label_map.array == 2)
    assert np.array_equal(fat, label_map.array == 3)
    assert bone.any()
    assert not muscle.any()


def test_array_is_read_only():
    label_map = make_label_map(make_volume())

    with pytest.raises(ValueError, match="read-only"):
        label_map.array[0, 0, 0] = 1


def test_segment_is_found_by_its_name():
    assert make_label_map(make_volume()).segment("fat") is TISSUES[2]


def test_unknown_segment_names_those_that_there_are():
    with pytest.raises(KeyError, match=r"liver.*body.*bone.*fat.*muscle"):
        make_label_map(make_volume()).segment("liver")
