"""ShownSlices: slices are read as radiologists read them, in square millimetres, with the edges of their segments."""

import dataclasses

import numpy as np
import pytest

from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.write.shown_slices import (
    MOST_HEIGHT,
    MOST_SLICES,
    PICTURE_WIDTH,
    caption_of,
    draw_slice,
    slices_to_show,
    view_of,
)
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
    make_label_map,
    make_volume,
)


def stored(directions) -> tuple[Volume, object, int]:
    """One patient, stored in one of several orders: bright at the front on the right, bone at the back on the left.

    The array is made head, back, left, and turned with its affine, so that each voxel keeps its place.
    """
    hu = np.full((4, 8, 8), -160, np.int16)
    hu[2, :2, :2] = 240
    labels = np.zeros(hu.shape, np.uint8)
    labels[2, 6:, 6:] = 2
    affine = make_affine(AXIAL, (3.0, 1.0, 1.0), (0, 0, 0))
    flips = [axis for axis, (a, b) in enumerate(zip(directions, AXIAL, strict=True)) if a != b]
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    volume = Volume(np.flip(hu, flips).copy(), affine, "1.2", ())
    return volume, make_label_map(volume, np.flip(labels, flips)), 1 if 0 in flips else 2


def colour_at(picture, row_share, column_share) -> tuple[int, int, int]:
    pixels = np.asarray(picture)
    return tuple(int(v) for v in pixels[int(row_share * pixels.shape[0]), int(column_share * pixels.shape[1])])


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET], ids=["straight", "turned", "feet first"])
def test_right_of_the_patient_is_on_the_left_and_front_above(directions):
    volume, label_map, index = stored(directions)

    picture = draw_slice(volume, label_map, index)

    assert colour_at(picture, 0.05, 0.05) == (255, 255, 255)
    assert colour_at(picture, 0.05, 0.95) == (0, 0, 0)
    assert colour_at(picture, 0.95, 0.05) == (0, 0, 0)
    red, green, blue = colour_at(picture, 0.95, 0.95)
    assert red > 100 > max(green, blue)


@pytest.mark.parametrize("directions", [AXIAL_TURNED, AXIAL_FEET])
def test_storage_orientation_does_not_change_a_pixel(directions):
    straight = draw_slice(*stored(AXIAL))

    turned = draw_slice(*stored(directions))

    assert np.array_equal(np.asarray(turned), np.asarray(straight))


def test_pixels_are_square_in_mm():
    volume = make_volume(np.zeros((3, 20, 30), np.int16), make_affine(spacing_mm=(3.0, 2.0, 1.0)))

    picture = draw_slice(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)), 1)

    assert picture.width == PICTURE_WIDTH
    assert picture.height / picture.width == pytest.approx((20 * 2.0) / (30 * 1.0), abs=0.01)


def test_key_slice_shows_the_most_segments():
    label_map = make_label_map(make_volume())

    index, *_ = slices_to_show(label_map)

    present = [sum(label_map.mask(s)[i].any() for s in TISSUES) for i in range(12)]
    assert present[index] == max(present) == 3
    assert present.count(3) > 1


def test_key_slice_is_the_middle_one_of_the_best():
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[:, 0, 0] = 1
    labels[3:10, 1, 1] = 2

    assert slices_to_show(make_label_map(volume, labels))[0] == 6


def at(directions, corner) -> tuple[Volume, LabelMap, int]:
    """A volume that is dark but for one bright voxel, in the middle slice, in the corner that lies towards directions.

    Args:
        directions: Of slices, rows, columns in LPS.
        corner: Two directions in LPS.
    """
    hu = np.full((3, 8, 8), -160, np.int16)
    affine = make_affine(directions, (3.0, 1.0, 1.0), (0, 0, 0))
    indices = np.array([(1, row, column, 1) for row in (0, 7) for column in (0, 7)])
    best = indices[np.argmax((indices @ affine.T)[:, :3] @ np.sum(corner, axis=0))]
    hu[1, best[1] // 7 * 6 : best[1] // 7 * 6 + 2, best[2] // 7 * 6 : best[2] // 7 * 6 + 2] = 240
    volume = Volume(hu, affine, "1.2", ())
    return volume, make_label_map(volume, np.zeros(hu.shape, np.uint8)), 1


RIGHT, FRONT, HEAD = (-1, 0, 0), (0, -1, 0), (0, 0, 1)
TURNED_SAGITTAL = ((-1, 0, 0), (0, 1, 0), (0, 0, 1))
"""Rows run to the back, columns to the head: a slice has to be transposed and flipped."""


@pytest.mark.parametrize(
    ("directions", "corner"),
    [
        (AXIAL, (RIGHT, FRONT)),
        (AXIAL_TURNED, (RIGHT, FRONT)),
        (CORONAL, (RIGHT, HEAD)),
        (SAGITTAL, (FRONT, HEAD)),
        (TURNED_SAGITTAL, (FRONT, HEAD)),
        (OBLIQUE, (RIGHT, (0, -0.8, -0.6))),
    ],
    ids=["axial", "axial turned", "coronal", "sagittal", "sagittal turned", "oblique"],
)
def test_every_plane_has_its_first_sides_on_the_left_and_above(directions, corner):
    picture = draw_slice(*at(directions, corner))

    assert colour_at(picture, 0.05, 0.05) == (255, 255, 255)
    assert [colour_at(picture, *place) for place in ((0.05, 0.95), (0.95, 0.05), (0.95, 0.95))] == [(0, 0, 0)] * 3


@pytest.mark.parametrize(
    ("directions", "sides"),
    [
        (AXIAL, ("R", "L", "A", "P")),
        (AXIAL_FEET, ("R", "L", "A", "P")),
        (CORONAL, ("R", "L", "H", "F")),
        (SAGITTAL, ("A", "P", "H", "F")),
        (TURNED_SAGITTAL, ("A", "P", "H", "F")),
        (OBLIQUE, ("R", "L", "AF", "PH")),
    ],
    ids=["axial", "feet first", "coronal", "sagittal", "sagittal turned", "oblique"],
)
def test_sides_are_named_left_right_above_below(directions, sides):
    view = view_of(make_affine(directions))

    assert (view.left, view.right, view.head, view.foot) == sides


def test_transposed_slice_has_square_millimetres():
    volume = make_volume(np.zeros((3, 20, 30), np.int16), make_affine(TURNED_SAGITTAL, (3.0, 2.0, 1.0)))

    picture = draw_slice(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)), 1)

    assert picture.height / picture.width == pytest.approx((30 * 1.0) / (20 * 2.0), abs=0.01)


def test_long_slice_is_made_narrow_rather_than_wrong():
    volume = make_volume(np.zeros((3, 60, 10), np.int16), make_affine(CORONAL, (3.0, 2.0, 1.0)))

    picture = draw_slice(volume, make_label_map(volume, np.zeros(volume.array.shape, np.uint8)), 1)

    assert picture.height == MOST_HEIGHT
    assert picture.height / picture.width == pytest.approx((60 * 2.0) / (10 * 1.0), abs=0.1)


def test_outline_is_the_edge_of_the_segment_in_its_colour():
    volume = make_volume(np.zeros((3, 8, 8), np.int16), make_affine(AXIAL, (3.0, 1.0, 1.0)))
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1, 2:6, 2:6] = 4

    pixels = np.asarray(draw_slice(volume, make_label_map(volume, labels), 1))

    # Eight voxels on 640 pixels: the segment lies from 160 to 480.
    is_muscle = (pixels == TISSUES[3].colour).all(axis=2)
    expected = np.zeros((640, 640), bool)
    expected[160:480, 160:480] = True
    expected[162:478, 162:478] = False
    assert np.array_equal(is_muscle, expected)
    assert (pixels[200, 200] != pixels[100, 100]).any()


def test_outline_of_what_takes_in_others_lies_below_theirs():
    volume = make_volume(np.zeros((3, 8, 8), np.int16), make_affine(AXIAL, (3.0, 1.0, 1.0)))
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1, 2:6, 2:6] = 1
    labels[1, 2:4, 2:6] = 2

    pixels = np.asarray(draw_slice(volume, make_label_map(volume, labels), 1))

    assert tuple(pixels[160, 300]) == TISSUES[1].colour
    assert tuple(pixels[479, 300]) == TISSUES[0].colour


def test_values_of_another_modality_are_shown_by_their_range():
    array = np.full((3, 8, 8), 1000, np.int16)
    array[1, :4] = 3000

    def is_mr(header, _):
        header.Modality = "MR"

    volume = make_volume(array, make_affine(AXIAL, (3.0, 1.0, 1.0)), edit=is_mr)

    picture = draw_slice(volume, make_label_map(volume, np.zeros(array.shape, np.uint8)), 1)

    assert colour_at(picture, 0.1, 0.5) == (255, 255, 255)
    assert colour_at(picture, 0.9, 0.5) == (0, 0, 0)


def parts(slices=12, **places) -> tuple[Volume, LabelMap]:
    """Segments in slices of their own."""
    volume = make_volume(np.zeros((slices, 6, 5), np.int16))
    labels = np.zeros(volume.array.shape, np.uint8)
    for name, where in places.items():
        (label,) = next(segment.labels for segment in TISSUES if segment.name == name)
        labels[where, 1:4, 1:4] = label
    return volume, LabelMap(labels, volume.affine_lps.copy(), TISSUES[1:], ALGORITHM)


def test_a_segment_that_the_key_slice_misses_gets_a_slice_of_its_own():
    _, label_map = parts(bone=slice(2, 5), fat=slice(8, 9))

    chosen = slices_to_show(label_map)

    shown = [{s.name for s in label_map.segments if label_map.mask(s)[index].any()} for index in chosen]
    assert sorted(map(tuple, shown)) == [("bone",), ("fat",)]


def test_slices_that_are_shown_have_a_limit():
    segments = tuple(
        dataclasses.replace(TISSUES[1], number=number, name=f"s{number}", labels=(number,)) for number in range(1, 8)
    )
    volume = make_volume(np.zeros((8, 6, 5), np.int16))
    labels = np.zeros(volume.array.shape, np.uint8)
    for number in range(1, 8):
        labels[number] = number

    chosen = slices_to_show(LabelMap(labels, volume.affine_lps.copy(), segments, ALGORITHM))

    assert len(set(chosen)) == len(chosen) == MOST_SLICES


@pytest.mark.parametrize(("directions", "axis"), [(AXIAL, "z"), (CORONAL, "y"), (SAGITTAL, "x"), (OBLIQUE, "z")])
def test_caption_names_slice_and_place(directions, axis):
    volume = make_volume(affine_lps=make_affine(directions))

    caption = caption_of(volume, 4)

    place = volume.slices[4].header.ImagePositionPatient["xyz".index(axis)]
    assert caption == f"Slice 5 of 12, {axis} = {place:.1f} mm (LPS)"
