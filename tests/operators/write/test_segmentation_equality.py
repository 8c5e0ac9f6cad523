"""WriteSegmentation writes, byte for byte, the file of the object that highdicom alone builds of the same map."""

import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from operators.core.label_map import LabelMap, Segment
from operators.core.probability_map import ProbabilityMap
from operators.write.marking import save
from operators.write.write_segmentation import SegmentationType, write_segmentation
from tests.builders import (
    ALGORITHM,
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    TISSUES,
    make_affine,
    make_identity,
    make_volume,
)
from tests.stock_segmentation import stock_segmentation

DIRECTIONS = [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, SAGITTAL, OBLIQUE]
LABELMAPS = [SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE]
coordinate = st.floats(-700, 700, allow_nan=False).map(lambda v: round(v, 7))


def stray(header, index):
    """Positions that are no longer evenly spaced, by less than a slice may be misplaced."""
    normal = np.cross(header.ImageOrientationPatient[:3], header.ImageOrientationPatient[3:])
    moved = np.array(header.ImagePositionPatient, float) + normal * (0.04 if index % 3 == 1 else 0)
    header.ImagePositionPatient = [f"{value:.9g}" for value in moved]


def say_spacing(header, _):
    header.SpacingBetweenSlices = "1.2500"


def say_no_spacing(header, _):
    header.SpacingBetweenSlices = None


def write_zeros(header, _):
    header.ImagePositionPatient = [f"{float(value):+.4f}" for value in header.ImagePositionPatient]


def give_short_uid(header, index):
    header.SOPInstanceUID = f"1.2.{10**index}"


EDITS = [None, stray, say_spacing, say_no_spacing, write_zeros, give_short_uid]


def elements(dataset, path=()):
    """Every element of a data set at any depth, with its VR and its value."""
    for element in dataset:
        if element.VR == "SQ":
            yield (*path, element.tag), "SQ", len(element.value)
            for index, item in enumerate(element.value):
                yield from elements(item, (*path, element.tag, index))
        else:
            yield (*path, element.tag), element.VR, element.value


def assert_equal_to_stock(volume, label_map, segmentation_type=SegmentationType.BINARY):
    with tempfile.TemporaryDirectory() as folder:
        ours, stock = Path(folder) / "ours.dcm", Path(folder) / "stock.dcm"
        write_segmentation(ours, volume, label_map, make_identity(), segmentation_type)
        save(stock_segmentation(volume, label_map, make_identity(), segmentation_type), stock)
        written, expected = dcmread(ours), dcmread(stock)
        assert list(elements(written.file_meta)) == list(elements(expected.file_meta))
        assert list(elements(written)) == list(elements(expected))
        assert ours.read_bytes() == stock.read_bytes()


def segment(number, labels):
    like = TISSUES[number % len(TISSUES)]
    return Segment(number, f"s{number}", f"Segment {number}", tuple(labels), like.category, like.type, like.colour)


@st.composite
def volumes(draw, largest=9):
    shape = draw(st.tuples(st.integers(1, 7), st.integers(3, largest), st.integers(3, largest)))
    affine = make_affine(
        draw(st.sampled_from(DIRECTIONS)),
        draw(st.tuples(st.floats(0.4, 6), st.floats(0.3, 2), st.floats(0.3, 2))),
        draw(st.tuples(coordinate, coordinate, coordinate)),
    )
    return make_volume(np.zeros(shape, np.int16), affine, edit=draw(st.sampled_from(EDITS)))


@st.composite
def maps(draw, *, overlapping):
    """A volume, and labels on its grid: some slices empty, some labels in no segment, some segments without a voxel."""
    volume = draw(volumes())
    count = draw(st.integers(1, 6))
    labels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, count + 2, volume.array.shape).astype(np.uint8)
    labels[draw(st.lists(st.integers(0, len(labels) - 1)))] = 0
    several = st.lists(st.integers(1, count + 2), min_size=1, max_size=3, unique=True)
    sets = [draw(several) if overlapping else [number] for number in range(1, count + 1)]
    found = {label for labels_of in sets for label in labels_of} & set(np.unique(labels).tolist())
    if not found:
        labels[draw(st.integers(0, len(labels) - 1)), 1, 1] = sets[0][0]
    segments = tuple(segment(number, labels_of) for number, labels_of in enumerate(sets, start=1))
    return volume, LabelMap(labels, volume.affine_lps.copy(), segments, ALGORITHM)


@settings(max_examples=60, deadline=None)
@given(maps(overlapping=False))
def test_binary_is_what_highdicom_writes(case):
    assert_equal_to_stock(*case)


@settings(max_examples=60, deadline=None)
@given(maps(overlapping=True))
def test_binary_with_overlapping_segments_is_what_highdicom_writes(case):
    assert_equal_to_stock(*case)


@settings(max_examples=40, deadline=None)
@given(maps(overlapping=False), st.sampled_from(LABELMAPS))
def test_labelmap_is_what_highdicom_writes(case, segmentation_type):
    assert_equal_to_stock(*case, segmentation_type)


@settings(max_examples=40, deadline=None)
@given(volumes(), st.integers(1, 3), st.sampled_from([np.float32, np.float64]), st.integers(0, 99))
def test_fractional_is_what_highdicom_writes(volume, count, dtype, seed):
    random = np.random.default_rng(seed)
    arrays = []
    for _ in range(count):
        array = random.random(volume.array.shape).astype(dtype) ** 4
        array[random.random(len(array)) < 0.3] = 0
        # Stored as 0: the slice has no frame, and yet a place among the slices.
        array[random.random(len(array)) < 0.3] = 0.001
        array[random.integers(len(array)), 1, 1] = 1
        arrays.append(array)
    segments = tuple(segment(number, [number]) for number in range(1, count + 1))

    probabilities = ProbabilityMap(tuple(arrays), volume.affine_lps.copy(), segments, ALGORITHM)

    assert_equal_to_stock(volume, probabilities, SegmentationType.FRACTIONAL)
