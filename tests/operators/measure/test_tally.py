"""Tally: sums by label, slice by slice."""

from dataclasses import replace

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.core.label_map import require_same_grid
from operators.measure.tally import sum_labels
from tests.builders import make_label_map, make_volume


def test_sums_are_those_of_each_label():
    volume = make_volume()
    label_map = make_label_map(volume)

    voxels, sums, squares = sum_labels(volume, label_map)

    for label in range(1, 4):
        inside = volume.array[label_map.array == label].astype(np.int64)
        assert (voxels[label], sums[label], squares[label]) == (inside.size, inside.sum(), (inside**2).sum())
    assert not sums[4:].any()
    assert (voxels[0], sums[0], squares[0]) == (0, 0, 0)


def test_padding_is_in_no_sum():
    hu = make_volume().array.copy()
    padding = np.zeros(hu.shape, dtype=bool)
    padding[3, :, 2], padding[5] = True, True
    hu[padding] = -2000
    volume = replace(make_volume(hu), padding=padding)
    label_map = make_label_map(volume)

    voxels, sums, squares = sum_labels(volume, label_map)

    for label in range(1, 4):
        inside = hu[(label_map.array == label) & ~padding].astype(np.int64)
        assert (voxels[label], sums[label], squares[label]) == (inside.size, inside.sum(), (inside**2).sum())


def test_same_grid_passes_with_rounding_of_the_affine():
    volume = make_volume()
    label_map = make_label_map(volume)
    label_map.affine_lps[0, 3] += 1e-6

    assert require_same_grid(volume, label_map) is None


def test_label_map_of_another_shape_is_refused():
    volume = make_volume()

    with pytest.raises(GeometryError, match=r"\(11, 6, 5\).*\(12, 6, 5\)"):
        require_same_grid(volume, make_label_map(make_volume(volume.array[1:])))


@pytest.mark.parametrize("change", [(0, 3, 0.5), (2, 0, 0.01), (0, 2, -1.2)])
def test_label_map_that_lies_elsewhere_is_refused(change):
    volume = make_volume()
    label_map = make_label_map(volume)
    row, column, off = change
    label_map.affine_lps[row, column] += off

    with pytest.raises(GeometryError, match="elsewhere"):
        require_same_grid(volume, label_map)
