"""MeasureKeySlices: the slice of the largest area and the landmarks' slices, each measured by itself."""

from dataclasses import replace

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.core.measurements import LARGEST_AREA
from operators.measure.measure_key_slices import AREA, measure_key_slices
from operators.measure.measure_segments import MEAN_HU
from operators.measure.measure_slice_areas import measure_slice_areas
from tests.builders import make_affine, make_label_map, make_volume

PIXEL_CM2 = 0.8 * 0.6 / 100


def make_inputs(labels=None, hu=None, landmarks=None):
    """A stack of 5 slices with 10 x 10 pixels of 0.8 mm x 0.6 mm."""
    shape = (5, 10, 10)
    hu = np.zeros(shape, np.int16) if hu is None else hu
    volume = make_volume(hu, make_affine(spacing_mm=(3.0, 0.8, 0.6)))
    label_map = make_label_map(volume, np.zeros(shape, np.uint8) if labels is None else labels, landmarks=landmarks)
    return {
        "volume": volume,
        "label_map": label_map,
        "slice_areas": measure_slice_areas(volume, label_map),
    }


def example(_tmp_path):
    labels = np.zeros((5, 10, 10), np.uint8)
    labels[1:4, 2:5, 2:6] = 3
    return None, make_inputs(labels, landmarks={"iliac_crest": 2})


def rows_of(key_slices, segment):
    return {row.role: row for row in key_slices if row.segment_name == segment}


def values(row):
    return {value.quantity: value.value for value in row.values}


def test_a_segment_is_measured_where_its_area_is_largest():
    labels, hu = np.zeros((5, 10, 10), np.uint8), np.full((5, 10, 10), 1000, np.int16)
    labels[1, 2:4, 2:6], labels[3, 2:6, 2:8], labels[4, 2:5, 2:6] = 3, 3, 3
    hu[3, 2:4, 2:8], hu[3, 4:6, 2:8] = -110, -90

    inputs = make_inputs(labels, hu)
    row = rows_of(measure_key_slices(**inputs), "fat")[LARGEST_AREA]

    assert (row.index, row.sop_instance_uid) == (3, inputs["volume"].slices[3].header.SOPInstanceUID)
    assert values(row) == {AREA: pytest.approx(24 * PIXEL_CM2), MEAN_HU: pytest.approx(-100)}


def test_padding_is_in_the_area_and_not_in_the_mean():
    labels, hu = np.zeros((5, 10, 10), np.uint8), np.full((5, 10, 10), -100, np.int16)
    labels[3, 2:6, 2:8], labels[2, 2:4, 2:4] = 3, 2
    padding = np.zeros(hu.shape, dtype=bool)
    padding[3, 2:4], padding[2] = True, True
    hu[padding] = -2000
    inputs = make_inputs(labels, hu)
    inputs["volume"] = replace(inputs["volume"], padding=padding)

    found = measure_key_slices(**inputs)

    row = values(rows_of(found, "fat")[LARGEST_AREA])
    assert (row[AREA], row[MEAN_HU]) == (pytest.approx(24 * PIXEL_CM2), -100)
    assert MEAN_HU not in values(rows_of(found, "bone")[LARGEST_AREA])


def test_of_equal_areas_the_first_is_taken():
    labels = np.zeros((5, 10, 10), np.uint8)
    labels[2:5, 2:4, 2:4] = 3

    assert rows_of(measure_key_slices(**make_inputs(labels)), "fat")[LARGEST_AREA].index == 2


def test_a_segment_with_several_labels_is_measured_over_all_of_them():
    labels, hu = np.zeros((5, 10, 10), np.uint8), np.zeros((5, 10, 10), np.int16)
    labels[1, :2, :2], labels[1, 2:4, :2] = 1, 3
    hu[1, :2, :2], hu[1, 2:4, :2] = 60, -100

    rows = measure_key_slices(**make_inputs(labels, hu))

    assert values(rows_of(rows, "body")[LARGEST_AREA]) == {
        AREA: pytest.approx(8 * PIXEL_CM2),
        MEAN_HU: pytest.approx(-20),
    }


def test_each_landmark_gives_a_row_for_the_segments_that_it_cuts():
    labels, hu = np.zeros((5, 10, 10), np.uint8), np.zeros((5, 10, 10), np.int16)
    labels[1, 2:4, 2:6], labels[3, 2:6, 2:8] = 3, 3
    labels[3, 8, 8] = 2
    hu[1] = -70

    rows = measure_key_slices(**make_inputs(labels, hu, {"iliac_crest": 1}))

    assert values(rows_of(rows, "fat")["iliac_crest"]) == {
        AREA: pytest.approx(8 * PIXEL_CM2),
        MEAN_HU: pytest.approx(-70),
    }
    assert set(rows_of(rows, "bone")) == {LARGEST_AREA}


def test_a_segment_that_was_not_found_has_no_row():
    labels = np.zeros((5, 10, 10), np.uint8)
    labels[1, 2:4, 2:6] = 2

    rows = measure_key_slices(**make_inputs(labels, landmarks={"iliac_crest": 1}))

    assert {row.segment_name for row in rows} == {"body", "bone"}


def test_the_area_is_the_one_of_the_slice_table():
    _, inputs = example(None)

    for row in measure_key_slices(**inputs):
        assert values(row)[AREA] == inputs["slice_areas"][row.index].area_cm2[row.segment_name]


def test_wrong_grid_is_refused():
    inputs = make_inputs()
    other = make_volume(np.zeros((5, 10, 9), np.int16))

    with pytest.raises(GeometryError):
        measure_key_slices(**(inputs | {"volume": other}))
