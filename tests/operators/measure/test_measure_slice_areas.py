"""MeasureSliceAreas: pixels times pixel area, slice by slice."""

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.measure.measure_slice_areas import SliceAreasParameters, measure_slice_areas
from tests.builders import AXIAL, AXIAL_FEET, OBLIQUE, make_affine, make_label_map, make_volume


def example(_tmp_path):
    volume = make_volume()
    return None, {"volume": volume, "label_map": make_label_map(volume)}


@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE])
def test_area_of_a_box_is_its_edges_multiplied(directions):
    volume = make_volume(np.zeros((4, 20, 30), np.int16), make_affine(directions, (3.0, 0.8, 0.6)))
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1, 5:15, 10:25] = 2

    areas = measure_slice_areas(volume, make_label_map(volume, labels))

    assert [a.area_cm2["bone"] for a in areas] == pytest.approx([0, 10 * 0.8 * 15 * 0.6 / 100, 0, 0])
    assert [a.area_cm2["body"] for a in areas] == pytest.approx([a.area_cm2["bone"] for a in areas])
    assert [a.area_cm2["muscle"] for a in areas] == [0, 0, 0, 0]


def test_rows_name_their_image_and_its_position():
    volume = make_volume()

    areas = measure_slice_areas(volume, make_label_map(volume))

    assert [a.index for a in areas] == list(range(12))
    assert [a.sop_instance_uid for a in areas] == [source.header.SOPInstanceUID for source in volume.slices]
    assert [a.position_mm for a in areas] == [float(s.header.ImagePositionPatient[2]) for s in volume.slices]


def test_position_runs_along_the_normal():
    volume = make_volume(affine_lps=make_affine(AXIAL_FEET, origin_mm=(0, 0, 100)))

    areas = measure_slice_areas(volume, make_label_map(volume))

    assert np.diff([a.position_mm for a in areas]) == pytest.approx(3.0)


def test_areas_times_the_slice_distance_are_the_volume():
    volume = make_volume()
    label_map = make_label_map(volume)

    areas = measure_slice_areas(volume, label_map)

    millilitres = sum(a.area_cm2["fat"] for a in areas) * 0.3
    assert millilitres == pytest.approx((label_map.array == 3).sum() * 3.0 * 0.8 * 0.6 / 1000)


def test_wrong_grid_is_refused():
    volume = make_volume()

    with pytest.raises(GeometryError):
        measure_slice_areas(volume, make_label_map(make_volume(volume.array[:-1])))


def test_sides_are_measured_of_the_segments_that_are_asked_for():
    volume = make_volume()

    areas = measure_slice_areas(volume, make_label_map(volume), SliceAreasParameters(("fat",)))

    assert {name for row in areas for name in row.left_cm2} == {"fat"}
    for row in areas:
        assert row.left_cm2.keys() == row.right_cm2.keys()
        assert sum((*row.left_cm2.values(), *row.right_cm2.values())) == pytest.approx(
            row.area_cm2["fat"] if row.left_cm2 else 0
        )


def test_finer_pixels_and_slices_give_the_same_sides():
    volume = make_volume(np.zeros((8, 10, 12), np.int16), make_affine(AXIAL, (3.0, 0.8, 0.6)))
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1:7, 2:8, 5:8], labels[2:6, 3:9, 1:5] = 2, 3
    fine = make_volume(np.zeros((16, 20, 24), np.int16), make_affine(AXIAL, (1.5, 0.4, 0.3)))
    repeated = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    parameters = SliceAreasParameters(("fat",))

    coarse = measure_slice_areas(volume, make_label_map(volume, labels), parameters)
    doubled = measure_slice_areas(fine, make_label_map(fine, repeated), parameters)

    assert [row.left_cm2["fat"] for row in doubled[::2]] == pytest.approx([row.left_cm2["fat"] for row in coarse])
