"""LabelExtents: how often and between which pixels a label is in each slice."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.core.label_extents import LabelExtents, extents_of
from tests.builders import make_label_map, make_volume

label_arrays = arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(0, 4))


@settings(deadline=None)
@given(label_arrays)
def test_extents_are_the_count_the_first_and_the_last_pixel_of_each_label(labels):
    extents = LabelExtents(labels)

    for index, plane in enumerate(labels):
        for label in range(256):
            places = np.flatnonzero(plane.ravel() == label)
            assert extents.counts[index, label] == places.size
            assert extents.present[index, label] == (places.size > 0)
            if places.size:
                assert extents.first[index, label] == places[0]
                assert extents.end[index, label] == places[-1] + 1


def test_extents_of_a_map_are_found_once_and_go_with_it():
    label_map = make_label_map(make_volume())
    known = weakref.ref(extents_of(label_map))

    assert extents_of(label_map) is known()
    del label_map
    gc.collect()
    assert known() is None


def test_counts_that_steps_share_cannot_be_changed():
    counts = extents_of(make_label_map(make_volume())).counts

    with pytest.raises(ValueError, match="read-only"):
        counts[0, 0] = 1
