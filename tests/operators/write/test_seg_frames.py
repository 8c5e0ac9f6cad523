"""Frames of a SEG: which there are, and that no mask is ever held as a whole."""

import tracemalloc

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from operators.core.label_extents import LabelExtents
from operators.core.label_map import LabelMap
from operators.write.seg_frames import BinaryFrames, Frame, LabelmapFrames, shared_labels
from tests.builders import ALGORITHM, TISSUES, make_label_map, make_volume

label_arrays = arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(0, 4))


@settings(deadline=None)
@given(label_arrays)
def test_bits_of_all_frames_are_the_masks_one_behind_the_other(labels):
    label_map = LabelMap(labels, np.eye(4), TISSUES, ALGORITHM)
    binary = BinaryFrames(label_map)
    order = binary.order(range(len(labels)))

    bits = np.unpackbits(np.frombuffer(b"".join(binary.pixels(order)), np.uint8), bitorder="little")

    masks = [np.isin(labels[f.slice_index], binary.segments[f.segment_number - 1].labels).ravel() for f in order]
    assert all(mask.any() for mask in masks)
    assert np.array_equal(bits[: sum(map(len, masks))], np.concatenate([*masks, []]))
    assert not bits[sum(map(len, masks)) :].any()


def test_frames_go_segment_by_segment_in_the_order_of_the_slices():
    labels = np.zeros((3, 2, 2), np.uint8)
    labels[0], labels[2], labels[1, 0] = 2, 2, 3

    order = BinaryFrames(make_label_map(make_volume(np.zeros((3, 2, 2))), labels, segments=TISSUES[1:])).order([
        2,
        1,
        0,
    ])

    assert order == [Frame(1, 2), Frame(1, 0), Frame(2, 1)]


def test_labels_overlap_only_where_they_are():
    volume = make_volume(np.zeros((1, 2, 2)))
    labels = np.array([[[1, 1], [1, 0]]], np.uint8)

    assert shared_labels(TISSUES[:2], LabelExtents(labels)) == []
    assert shared_labels(TISSUES[:2], LabelExtents(labels * 2)) == [2]
    assert BinaryFrames(make_label_map(volume, labels)).overlap == "NO"
    assert BinaryFrames(make_label_map(volume, labels * 2)).overlap == "YES"


def test_pixels_take_a_few_slices_of_memory():
    volume = make_volume(np.zeros((40, 64, 64)))
    labels = np.ones((40, 64, 64), np.uint8)
    for frames in (BinaryFrames(make_label_map(volume, labels)), LabelmapFrames(make_label_map(volume, labels))):
        order = frames.order(range(40))
        tracemalloc.start()
        for _ in frames.pixels(order):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8 * labels[0].size
