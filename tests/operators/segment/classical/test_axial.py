"""AxialCT: arrays turn to head, back, left and come back where they were."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.core.volume import Volume
from operators.segment.classical.axial import AIR_HU, AxialCT
from tests.builders import CORONAL, make_affine

FLIPS = [flips for count in range(4) for flips in itertools.combinations(range(3), count)]


def make_scan(flips=()) -> Volume:
    values = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    affine = make_affine(spacing_mm=(5.0, 1.0, 2.0)).copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(np.flip(values, flips)), affine, "1.2", ())


@pytest.mark.parametrize("flips", FLIPS)
def test_engine_sees_one_array_whatever_the_storage(flips):
    scan, straight = AxialCT.of(make_scan(flips)), AxialCT.of(make_scan())

    assert np.array_equal(scan.hu, straight.hu)
    assert scan.spacing_mm == pytest.approx((5.0, 1.0, 2.0))


@pytest.mark.parametrize("flips", FLIPS)
def test_labels_and_slices_come_back_onto_the_volume(flips):
    volume = make_scan(flips)
    scan = AxialCT.of(volume)

    assert np.array_equal(scan.labels_back(scan.hu.astype(np.uint8)), volume.array.astype(np.uint8))
    for index in range(2):
        assert np.array_equal(np.sort(volume.array[scan.slice_back(index)].ravel()), np.sort(scan.hu[index].ravel()))


def test_padding_is_air():
    volume = make_scan()
    padding = volume.array == 5

    scan = AxialCT.of(replace(volume, padding=padding))

    assert (scan.hu == AIR_HU).sum() == 1


def test_sheared_and_coronal_stacks_are_refused():
    sheared = make_affine(spacing_mm=(5.0, 1.0, 2.0)).copy()
    sheared[1, 0] = 1.0

    for affine, words in ((sheared, "sheared"), (make_affine(CORONAL), "axial")):
        with pytest.raises(GeometryError, match=words):
            AxialCT.of(Volume(np.zeros((2, 3, 4), np.int16), affine, "1.2", ()))
