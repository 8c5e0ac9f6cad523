"""MeasureSliceAreas: pixels times pixel area, slice by slice."""

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.measure.measure_slice_areas import measure_slice_areas
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
