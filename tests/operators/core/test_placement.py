"""Placement: a frame lies where its header says, or the first attribute that cannot be is named."""

import struct

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataelem import DataElement

from operators.core.findings import FindingCode
from operators.core.frames import frames_of
from operators.core.placement import FARTHEST_MM, LARGEST_MATRIX, Placement, Unplaced, matrix_of, normal_of, place
from operators.core.reading import read_folder
from tests.builders import make_ct_series, make_header, make_series

PLANE = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing")


def placed(edit=None, **kwargs) -> Placement | Unplaced:
    """The place of the only frame of a header."""
    header = make_header(0, **kwargs)
    if edit is not None:
        edit(header)
    (frame,) = frames_of(make_series([header]).instances[0])
    return place(frame)


def write_text(path, keyword, texts):
    """Put text into a Decimal String (VR DS), which pydicom would not write."""
    dataset = dcmread(path)
    tag = dataset.data_element(keyword).tag
    dataset[tag] = DataElement(tag, "LO", texts)
    dataset.save_as(path)
    start = struct.pack("<HH", tag.group, tag.element)
    path.write_bytes(path.read_bytes().replace(start + b"LO", start + b"DS"))


def test_place_is_what_the_header_says():
    found = placed(orientation=(0, 1, 0, 0, 0, -1), position=(1.5, -2, 3), pixel_spacing=(0.8, 0.6), matrix=(6, 5))

    assert found.orientation.tolist() == [0, 1, 0, 0, 0, -1]
    assert found.position.tolist() == [1.5, -2, 3]
    assert (found.spacing, found.matrix) == ((0.8, 0.6), (6, 5))


def test_normal_is_row_times_column():
    assert normal_of(np.array([0, 1, 0, 0, 0, -1.0])) == pytest.approx((-1, 0, 0))


@pytest.mark.parametrize("keyword", [*PLANE, "Rows", "Columns"])
@pytest.mark.parametrize("empty", [True, False])
def test_missing_attribute_is_named(keyword, empty):
    def strip(header):
        if empty:
            setattr(header, keyword, None)
        else:
            delattr(header, keyword)

    found = placed(strip)

    assert found.code is FindingCode.MISSING_ATTRIBUTE
    assert keyword in found.problem


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", [0, 0.6]),
        ("PixelSpacing", [-0.8, 0.6]),
        ("PixelSpacing", [0.8]),
        ("PixelSpacing", [1500, 1500]),
        ("ImagePositionPatient", [1, 2]),
        ("ImagePositionPatient", [1, 2, 3, 4]),
        ("ImagePositionPatient", [1, 2, 10 * FARTHEST_MM]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 1]),
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [2, 0, 0, 0, 1, 0]),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 0.1, 0.995, 0]),
        ("Rows", 0),
        ("Columns", 0),
        ("Rows", LARGEST_MATRIX + 1),
        ("Columns", 65535),
        ("Rows", [5, 6]),
    ],
)
def test_attribute_that_cannot_be_is_invalid(keyword, value):
    found = placed(lambda header: setattr(header, keyword, value))

    assert found.code is FindingCode.INVALID_ATTRIBUTE
    assert keyword in found.problem


@pytest.mark.parametrize("text", ["abc", "nan", "NaN", "inf", "-inf", "1,5", "1e999", "1_5", "0x1", "1 2"])
@pytest.mark.parametrize("keyword", PLANE)
def test_text_where_a_number_belongs_is_invalid(tmp_path, keyword, text):
    path = make_ct_series(tmp_path, slices=2)[0]
    good = [str(value) for value in dcmread(path)[keyword].value]
    write_text(path, keyword, [text, *good[1:]])
    (series,) = read_folder(tmp_path).series
    (frame,) = frames_of(next(i for i in series.instances if i.path == path))

    found = place(frame)

    assert isinstance(found, Unplaced)
    assert found.code is FindingCode.INVALID_ATTRIBUTE
    assert keyword in found.problem


def test_frames_with_one_problem_say_it_in_the_same_words():
    problems = {placed(lambda header: setattr(header, "PixelSpacing", [0, 0.6]), seed=seed) for seed in "abc"}

    assert len(problems) == 1


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (LARGEST_MATRIX, 1), (7, LARGEST_MATRIX)])
def test_matrix_of_an_image_without_a_place_is_read(rows, columns):
    header = make_header(0, matrix=(rows, columns))
    del header.ImagePositionPatient

    assert matrix_of(header) == (rows, columns)
