"""FoundSegments: which segments are where, slice by slice."""

import dataclasses

import numpy as np
import pytest

from operators.core import codes
from operators.core.found_segments import found_segments, plane_of
from operators.core.measurements import LARGEST_AREA
from operators.write.write_segmentation import build_segmentation
from tests.builders import TISSUES, make_identity, make_label_map, make_volume


def test_numbers_are_those_of_the_seg():
    volume = make_volume()
    labels = make_label_map(volume).array.copy()
    labels[labels == 2] = 1
    label_map = make_label_map(volume, labels)

    found = found_segments(label_map)

    assert [(each.number, each.segment.name) for each in found] == [(1, "body"), (2, "fat")]
    seg = build_segmentation(volume, label_map, make_identity())
    assert [(item.SegmentNumber, item.SegmentLabel) for item in seg.SegmentSequence] == [(1, "Body"), (2, "Fat")]


def test_pixels_are_counted_slice_by_slice():
    label_map = make_label_map(make_volume())

    for each in found_segments(label_map):
        inside = np.isin(label_map.array, each.segment.labels)
        assert each.pixels.tolist() == [int(plane.sum()) for plane in inside]
        assert each.slices == [index for index, plane in enumerate(inside) if plane.any()]


def test_label_named_twice_counts_once():
    volume = make_volume()
    twice = type(TISSUES[1])(**{**vars(TISSUES[1]), "labels": (2, 2)})

    (found,) = found_segments(make_label_map(volume, segments=(twice,)))

    assert found.pixels.sum() == np.count_nonzero(make_label_map(volume).array == 2)


def test_largest_slice_is_the_first_of_the_largest():
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[2, 0, 0] = 2
    labels[5, :2, :2] = 2
    labels[7, 2:4, 2:4] = 2

    (found,) = found_segments(make_label_map(volume, labels, segments=TISSUES[1:2]))

    assert found.largest_slice == 5


def test_plane_takes_in_all_labels_of_the_segment():
    label_map = make_label_map(make_volume())

    plane = plane_of(label_map, TISSUES[0], 5)

    assert np.array_equal(plane, np.isin(label_map.array[5], (1, 2, 3)))


def test_key_slices_are_the_largest_and_those_of_landmarks_that_the_segment_reaches():
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[3:6, 0, 0] = labels[4, 1, 1] = 2
    (found,) = found_segments(make_label_map(volume, labels, segments=TISSUES[1:2]))

    assert found.key_slices({"thorax": 9, "crest": 4, "L3": 3}) == [(LARGEST_AREA, 4), ("crest", 4), ("L3", 3)]


@pytest.mark.parametrize(("modifier", "expected"), [(codes.LEFT, "knee_left"), (codes.RIGHT, "knee_right")])
def test_landmark_of_one_side_is_none_for_segments_of_the_other(modifier, expected):
    sided = dataclasses.replace(TISSUES[0], modifier=modifier)

    (found,) = found_segments(make_label_map(make_volume(), segments=(sided,)))

    roles = [role for role, _ in found.key_slices({"knee_left": 5, "knee_right": 5, "crest": 5})]
    assert roles == [LARGEST_AREA, expected, "crest"]


def test_landmarks_of_both_sides_are_for_segments_without_a_side():
    (found,) = found_segments(make_label_map(make_volume(), segments=TISSUES[:1]))

    roles = [role for role, _ in found.key_slices({"knee_left": 5, "knee_right": 5})]
    assert roles == [LARGEST_AREA, "knee_left", "knee_right"]
