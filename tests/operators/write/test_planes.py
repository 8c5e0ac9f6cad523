"""Planes: which segments are where, slice by slice."""

import numpy as np

from operators.write.planes import found_with_pixels, plane_of
from operators.write.write_segmentation import found_segments
from tests.builders import TISSUES, make_label_map, make_volume


def test_numbers_are_those_of_the_seg():
    volume = make_volume()
    labels = make_label_map(volume).array.copy()
    labels[labels == 2] = 1
    label_map = make_label_map(volume, labels)

    found = found_with_pixels(label_map)

    assert [(each.number, each.segment.name) for each in found] == [(1, "body"), (2, "fat")]
    assert tuple(each.segment for each in found) == found_segments(label_map)


def test_pixels_are_counted_slice_by_slice():
    label_map = make_label_map(make_volume())

    for each in found_with_pixels(label_map):
        inside = np.isin(label_map.array, each.segment.labels)
        assert each.pixels.tolist() == [int(plane.sum()) for plane in inside]
        assert each.slices == [index for index, plane in enumerate(inside) if plane.any()]


def test_label_named_twice_counts_once():
    volume = make_volume()
    twice = type(TISSUES[1])(**{**vars(TISSUES[1]), "labels": (2, 2)})

    (found,) = found_with_pixels(make_label_map(volume, segments=(twice,)))

    assert found.pixels.sum() == np.count_nonzero(make_label_map(volume).array == 2)


def test_largest_slice_is_the_first_of_the_largest():
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[2, 0, 0] = 2
    labels[5, :2, :2] = 2
    labels[7, 2:4, 2:4] = 2

    (found,) = found_with_pixels(make_label_map(volume, labels, segments=TISSUES[1:2]))

    assert found.largest_slice == 5


def test_plane_takes_in_all_labels_of_the_segment():
    label_map = make_label_map(make_volume())

    plane = plane_of(label_map, TISSUES[0], 5)

    assert np.array_equal(plane, np.isin(label_map.array[5], (1, 2, 3)))
