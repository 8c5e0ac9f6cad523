"""Preview: pictures side by side, each with square millimetres and its own window."""

import numpy as np
import pytest
from PIL import Image

from mapnode.preview import Preview, write_preview

MARGIN = 8
"""Pixels around a picture that belong to no picture; resampling softens edges over a few pixels."""


def ramp(rows, columns):
    """`(rows, columns)`: rising from left to right."""
    return np.tile(np.linspace(0, 1000, columns), (rows, 1))


def sheet_of(pictures, tmp_path):
    """`(rows, columns, 3)`: the written picture."""
    write_preview(pictures, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def is_gray(sheet):
    """Where pictures in gray are: the background and the letters have a tint of blue."""
    return (sheet[..., 0] == sheet[..., 1]) & (sheet[..., 0] == sheet[..., 2])


def only_picture(sheet):
    gray = is_gray(sheet)
    rows, columns = np.flatnonzero(gray.any(axis=1)), np.flatnonzero(gray.any(axis=0))
    assert gray[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return sheet[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 0]


def runs(flags):
    """Lengths of the stretches that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(edges[1::2] - edges[::2])


@pytest.mark.parametrize(
    ("rows", "columns", "aspect", "expected"),
    [
        (40, 40, 1.0, 1.0),
        (40, 40, 2.5, 2.5),
        (40, 40, 0.25, 0.25),
        (20, 80, 1.0, 0.25),
        (20, 80, 4.0, 1.0),
        (300, 900, 1.0, 1 / 3),
    ],
)
def test_height_over_width_is_that_of_the_patient(tmp_path, rows, columns, aspect, expected):
    picture = only_picture(sheet_of([Preview(ramp(rows, columns), aspect, ())], tmp_path))

    height, width = picture.shape
    assert height / width == pytest.approx(expected, rel=0.02)
    assert max(height, width) >= 200


def test_picture_is_neither_mirrored_nor_turned(tmp_path):
    plane = np.zeros((40, 40))
    plane[:20, :20], plane[:20, 20:], plane[20:, :20] = 300, 200, 100

    picture = only_picture(sheet_of([Preview(plane, 1.0, ())], tmp_path))

    half = len(picture) // 2
    quarters = [
        picture[row + MARGIN : row + half - MARGIN, column + MARGIN : column + half - MARGIN].mean()
        for row in (0, half)
        for column in (0, half)
    ]
    assert quarters == pytest.approx([255, 170, 85, 0], abs=1)


def test_window_goes_from_dark_to_bright_whatever_the_values_are(tmp_path):
    for low, high in ((-1024, 3000), (0, 1), (1e6, 1e6 + 5)):
        plane = low + ramp(50, 50) / 1000 * (high - low)

        picture = only_picture(sheet_of([Preview(plane, 1.0, ())], tmp_path))

        assert (picture.min(), picture.max()) == (0, 255)
        assert (np.diff(picture.mean(axis=0)) >= 0).all()


def test_a_few_extreme_values_do_not_darken_the_rest(tmp_path):
    plane = ramp(100, 100)
    plane[50, 50], plane[20, 20] = 1e6, -1e6

    picture = only_picture(sheet_of([Preview(plane, 1.0, ())], tmp_path))

    half = picture.shape[1] // 2
    dark, middle, bright = (picture[-40:-10, column].mean() for column in (MARGIN, half, -MARGIN))
    assert dark < 20
    assert middle == pytest.approx(127, abs=8)
    assert bright > 235


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float32, np.float64])
def test_extremes_of_a_type_do_not_wrap(tmp_path, dtype):
    ends = (np.iinfo(dtype).min, np.iinfo(dtype).max) if np.dtype(dtype).kind in "iu" else (-3e4, 3e4)
    plane = np.repeat(np.array(ends, dtype=dtype), 20)[None, :].repeat(40, axis=0)

    picture = only_picture(sheet_of([Preview(plane, 1.0, ())], tmp_path))

    assert (picture[100, 20], picture[100, -20]) == (0, 255)


def test_constant_picture_is_written(tmp_path):
    picture = only_picture(sheet_of([Preview(np.full((30, 30), 7, np.int16), 1.0, ())], tmp_path))

    assert len(np.unique(picture)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_do_not_blank_the_rest(tmp_path, value):
    plane = ramp(60, 60)
    plane[:20] = value

    picture = only_picture(sheet_of([Preview(plane, 1.0, ())], tmp_path))

    height, width = picture.shape
    below = picture[height // 2 :]
    assert below[:, MARGIN].mean() < 30
    assert below[:, width - MARGIN].mean() > 225


def test_colours_stay_as_they_are(tmp_path):
    plane = np.zeros((30, 30, 3), np.uint8)
    plane[...] = (200, 30, 90)

    sheet = sheet_of([Preview(plane, 1.0, ())], tmp_path)

    assert (sheet[:224] == (200, 30, 90)).all(axis=-1).sum() > 200 * 200


@pytest.mark.parametrize(("number", "columns", "rows"), [(1, 1, 1), (5, 5, 1), (6, 5, 2), (11, 5, 3)])
def test_pictures_stand_in_rows_of_five(tmp_path, number, columns, rows):
    sheet = sheet_of([Preview(ramp(30, 30), 1.0, ())] * number, tmp_path)

    gray = is_gray(sheet)
    assert len(runs(gray.any(axis=0))) == columns
    assert len(runs(gray.any(axis=1))) == rows
    # All pictures are of one size.
    assert set(runs(gray.any(axis=0))) | set(runs(gray.any(axis=1))) == {224}


def test_pictures_stand_in_the_order_given(tmp_path):
    planes = [np.where(ramp(30, 30) > share * 1000, 1.0, 0.0) for share in (0.2, 0.5, 0.8)]

    sheet = sheet_of([Preview(plane, 1.0, ()) for plane in planes], tmp_path)

    gray = is_gray(sheet)
    starts = np.flatnonzero(np.diff(np.concatenate([[0], gray.any(axis=0).astype(int)])) == 1)
    bright = [(sheet[100, start : start + 224, 0] > 127).mean() for start in starts]
    assert bright == pytest.approx([0.8, 0.5, 0.2], abs=0.03)


def test_caption_is_drawn_below_its_picture_and_nowhere_else(tmp_path):
    plane = ramp(30, 30)

    without = sheet_of([Preview(plane, 1.0, ()), Preview(plane, 1.0, ())], tmp_path)
    with_caption = sheet_of([Preview(plane, 1.0, ()), Preview(plane, 1.0, ("Abdomen", "8 x 6 x 5"))], tmp_path)

    rows, columns = np.nonzero((without != with_caption).any(axis=-1))
    pictures = np.flatnonzero(is_gray(without).any(axis=1))
    assert rows.min() > pictures.max()
    assert columns.min() > without.shape[1] // 2
    assert rows.max() - rows.min() > 16  # two lines


def test_long_caption_stays_in_its_column(tmp_path):
    plane = ramp(30, 30)

    without = sheet_of([Preview(plane, 1.0, ()), Preview(plane, 1.0, ())], tmp_path)
    with_caption = sheet_of([Preview(plane, 1.0, ("W" * 80,)), Preview(plane, 1.0, ())], tmp_path)

    _, columns = np.nonzero((without != with_caption).any(axis=-1))
    second = np.flatnonzero(np.diff(is_gray(without).any(axis=0).astype(int)) == 1)[-1]
    assert columns.max() <= second


def test_at_most_a_hundred_pictures_are_shown(tmp_path):
    many = [Preview(ramp(4, 4), 1.0, ())] * 130

    assert sheet_of(many, tmp_path).shape == sheet_of(many[:100], tmp_path).shape


def test_picture_of_one_pixel_is_shown(tmp_path):
    picture = only_picture(sheet_of([Preview(np.array([[5]]), 3.0, ())], tmp_path))

    assert picture.shape[0] / picture.shape[1] == pytest.approx(3.0, rel=0.02)


def test_very_narrow_picture_is_shown(tmp_path):
    picture = only_picture(sheet_of([Preview(ramp(2, 5000), 1.0, ())], tmp_path))

    assert picture.shape[0] >= 1
    assert picture.shape[1] == 224


def test_folder_that_is_not_there_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match=r"sheet\.png"):
        write_preview([Preview(ramp(4, 4), 1.0, ())], tmp_path / "nowhere" / "sheet.png")
