"""WriteKeyImage: one picture that is read as radiologists read it."""

import numpy as np
import pytest
from PIL import Image

from operators.core.volume import Volume
from operators.runtime.sdk import Application
from operators.write.write_key_image import PANEL_WIDTH, PICTURE_WIDTH, WriteKeyImage, draw_slice, key_slice
from operators.write.write_segmentation import WriteParameters
from tests.builders import (
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    TISSUES,
    make_affine,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_slice_areas,
    make_volume,
)


def example(tmp_path):
    volume = make_volume()
    label_map = make_label_map(volume)
    inputs = {
        "volume": volume,
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "slice_areas": make_slice_areas(volume, label_map),
        "quality": make_quality(),
        "identity": make_identity(),
    }
    return WriteParameters(tmp_path), inputs


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

    index = key_slice(label_map)

    present = [sum(label_map.mask(s)[i].any() for s in TISSUES) for i in range(12)]
    assert present[index] == max(present) == 3
    assert present.count(3) > 1


def test_key_slice_is_the_middle_one_of_the_best():
    volume = make_volume()
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[:, 0, 0] = 1
    labels[3:10, 1, 1] = 2

    assert key_slice(make_label_map(volume, labels)) == 6


def test_written_picture_is_a_png_with_picture_and_panel(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteKeyImage(Application(), parameters).process(**inputs)

    with Image.open(written.path) as image:
        assert (image.format, image.mode, image.width) == ("PNG", "RGB", PICTURE_WIDTH + PANEL_WIDTH)
        colours = {colour for _, colour in image.getcolors(maxcolors=1 << 20)}
    assert written.dataset is None
    assert {segment.colour for segment in TISSUES} <= colours


def test_png_carries_no_text_about_the_patient(tmp_path):
    parameters, inputs = example(tmp_path)

    written = WriteKeyImage(Application(), parameters).process(**inputs)

    with Image.open(written.path) as image:
        assert image.info == {}
    assert b"Phantom" not in written.path.read_bytes()
