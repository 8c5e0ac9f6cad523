"""SR places: what points to a segment lies inside it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.write.sr_places import point_inside, pointer_line

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


def test_pointer_takes_the_longest_run_and_of_equals_the_first():
    mask = np.zeros((4, 9), dtype=bool)
    mask[0, 0:2] = mask[1, 5:8] = mask[2, 1:4] = mask[3, 8] = True

    assert pointer_line(mask).tolist() == [[5, 1.5], [8, 1.5]]


@given(MASKS)
def test_point_lies_inside(mask):
    ((column, row),) = point_inside(mask)

    # Image coordinates have pixel centres at one half (PS3.3 C.18.6.1.2); between two pixels both are inside.
    assert mask[int(row), int(column)]
    assert mask[int(row), int(np.ceil(column)) - 1]


def test_point_is_in_the_middle_of_what_is_even():
    mask = np.zeros((9, 11), dtype=bool)
    mask[2:7, 3:8] = True

    assert point_inside(mask).tolist() == [[5.5, 4.5]]
