"""LabelMap: segments as sets of labels."""

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap, require_grid_of_headers
from operators.core.probability_map import ProbabilityMap
from operators.core.volume import Volume
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
    make_hu,
    make_label_map,
    make_volume,
)

CUBE = (6, 6, 6)
"""Slices, rows, columns and distances are equal: no shape or spacing tells a flip or a transposition."""


def make_cube(directions=AXIAL):
    return make_volume(make_hu(*CUBE), make_affine(directions, (1.0, 1.0, 1.0)))


def on_grid(volume, change) -> LabelMap:
    """A map on a grid of its own: `change` takes (slice, row, column, 1) to an index of the volume."""
    labels = np.zeros(volume.array.shape, np.uint8)
    return LabelMap(labels, volume.affine_lps @ np.array(change, dtype=float), TISSUES, ALGORITHM)


FLIPPED_SLICES = [[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
FLIPPED_ROWS = [[1, 0, 0, 0], [0, -1, 0, 5], [0, 0, 1, 0], [0, 0, 0, 1]]
FLIPPED_COLUMNS = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 5], [0, 0, 0, 1]]
TRANSPOSED_IN_PLANE = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
SLICES_LAST = [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
SHIFTED_BY_A_SLICE = [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
SHIFTED_BY_HALF_A_VOXEL = [[1, 0, 0, 0], [0, 1, 0, 0.5], [0, 0, 1, 0.5], [0, 0, 0, 1]]
FINER = [[1, 0, 0, 0], [0, 0.9, 0, 0], [0, 0, 0.9, 0], [0, 0, 0, 1]]


def test_mask_takes_in_all_labels_of_a_segment():
    label_map = make_label_map(make_volume())

    body, bone, fat, muscle = (label_map.mask(segment) for segment in TISSUES)

    assert np.array_equal(body, label_map.array > 0)
    assert np.array_equal(bone, label_map.array == 2)
    assert np.array_equal(fat, label_map.array == 3)
    assert bone.any()
    assert not muscle.any()


def test_array_is_read_only():
    label_map = make_label_map(make_volume())

    with pytest.raises(ValueError, match="read-only"):
        label_map.array[0, 0, 0] = 1


def test_segment_is_found_by_its_name():
    assert make_label_map(make_volume()).segment("fat") is TISSUES[2]


def test_unknown_segment_names_those_that_there_are():
    with pytest.raises(KeyError, match=r"liver.*body.*bone.*fat.*muscle"):
        make_label_map(make_volume()).segment("liver")


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, SAGITTAL, OBLIQUE])
def test_grid_of_the_source_is_that_of_its_headers(directions):
    volume = make_volume(affine_lps=make_affine(directions))

    assert require_grid_of_headers(volume, make_label_map(volume)) is None


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET, OBLIQUE])
@pytest.mark.parametrize(
    "change",
    [
        FLIPPED_SLICES,
        FLIPPED_ROWS,
        FLIPPED_COLUMNS,
        TRANSPOSED_IN_PLANE,
        SLICES_LAST,
        SHIFTED_BY_A_SLICE,
        SHIFTED_BY_HALF_A_VOXEL,
        FINER,
    ],
)
def test_map_that_is_flipped_shifted_transposed_or_scaled_is_refused(directions, change):
    volume = make_cube(directions)

    with pytest.raises(GeometryError, match=r"slice \d of the label map .* voxels from where its image"):
        require_grid_of_headers(volume, on_grid(volume, change))


def test_volume_whose_slices_are_in_another_order_than_its_grid_is_refused():
    volume = make_cube()
    turned = Volume(volume.array, volume.affine_lps, volume.frame_of_reference_uid, volume.slices[::-1])

    with pytest.raises(GeometryError):
        require_grid_of_headers(turned, make_label_map(turned))


@pytest.mark.parametrize("index", [0, 3, 5])
@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_single_slice_that_lies_elsewhere_is_refused_and_named(keyword, index):
    def move(header, number):
        if number == index:
            header[keyword].value = [2 * float(header[keyword].value[0]) or 0.5, *header[keyword].value[1:]]

    volume = make_volume(make_hu(*CUBE), edit=move)

    with pytest.raises(GeometryError, match=f"slice {index} .*{volume.slices[index].header.SOPInstanceUID}"):
        require_grid_of_headers(volume, make_label_map(volume))


def test_position_that_is_no_number_is_refused():
    def spoil(header, number):
        if number == 2:
            header.ImagePositionPatient = [0, 0, float("nan")]

    volume = make_volume(make_hu(*CUBE), edit=spoil)

    with pytest.raises(GeometryError, match="slice 2 "):
        require_grid_of_headers(volume, make_label_map(volume))


def test_rounding_of_positions_is_no_shift():
    def round_off(header, _):
        header.ImagePositionPatient = [round(float(value), 1) for value in header.ImagePositionPatient]

    volume = make_volume(edit=round_off)

    assert require_grid_of_headers(volume, make_label_map(volume)) is None


def test_slices_of_another_matrix_or_number_are_refused():
    volume = make_volume()
    labels = np.zeros((*volume.array.shape[:2], volume.array.shape[2] + 1), np.uint8)
    fewer = Volume(volume.array, volume.affine_lps, volume.frame_of_reference_uid, volume.slices[1:])

    with pytest.raises(GeometryError, match=r"\(12, 6, 6\).*12 slices of \[\(6, 5\)\]"):
        require_grid_of_headers(volume, make_label_map(volume, labels))
    with pytest.raises(GeometryError, match="11 slices"):
        require_grid_of_headers(fewer, make_label_map(volume))


@pytest.mark.parametrize("array", [np.zeros((2, 3, 4), np.int16), np.zeros((3, 4), np.uint8)])
def test_labels_are_three_dimensional_bytes(array):
    """An engine that gives other integers would make a SEG with other voxels."""
    with pytest.raises(GeometryError, match="three dimensions of uint8"):
        LabelMap(array, np.eye(4), (), ALGORITHM)


def test_probabilities_on_another_grid_are_refused():
    volume = make_volume()
    arrays = tuple(np.zeros((2, 2, 2), np.float32) for _ in TISSUES)
    elsewhere = ProbabilityMap(arrays, volume.affine_lps, TISSUES, ALGORITHM)
    labels = np.zeros(volume.array.shape, np.uint8)

    with pytest.raises(GeometryError, match="probabilities have the shape"):
        LabelMap(labels, volume.affine_lps, TISSUES, ALGORITHM, probabilities=elsewhere)
