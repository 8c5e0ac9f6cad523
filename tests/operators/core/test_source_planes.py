"""Source planes: images of every form lie where their headers say."""

import numpy as np
import pytest
from pydicom import dcmread

from operators.core.source_planes import planes_of
from tests.builders import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    make_affine,
    make_hu,
    make_mosaic,
    make_multiframe,
    make_volume,
)


def positions(affine, places):
    return np.array([(affine @ (place, 0, 0, 1))[:3] for place in places])


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, OBLIQUE])
def test_single_frames_lie_where_they_were_put(directions):
    affine = make_affine(directions)
    volume = make_volume(affine_lps=affine)

    planes = planes_of([source.header for source in volume.slices])

    assert np.allclose(planes.values[:, :3], positions(affine, range(12)), atol=1e-6)
    assert np.allclose(planes.values[0, 3:9], [*directions[2], *directions[1]], atol=1e-9)
    assert planes.values[0, 9:].tolist() == [0.8, 0.6, 6, 5]
    assert planes.frames_of_reference == {volume.frame_of_reference_uid}
    assert [planes.of(s.header.SOPInstanceUID, 0) for s in volume.slices] == [[i] for i in range(12)]


def test_frames_of_an_enhanced_image_are_told_apart(tmp_path):
    affine = make_affine()
    header = dcmread(make_multiframe(tmp_path / "mf.dcm", make_hu(4), affine, places=(2, 0, 3, 1)))

    planes = planes_of([header])

    assert np.allclose(planes.values[:, :3], positions(affine, (2, 0, 3, 1)), atol=1e-6)
    assert planes.of(header.SOPInstanceUID, 3) == [2]
    assert planes.of(header.SOPInstanceUID, 0) == [0, 1, 2, 3]


def test_tiles_of_a_mosaic_lie_where_they_were_put(tmp_path):
    affine = make_affine()
    header = dcmread(make_mosaic(tmp_path / "mosaic.dcm", make_hu(4), affine), stop_before_pixels=True)

    planes = planes_of([header])

    assert np.allclose(planes.values[:, :3], positions(affine, range(4)), atol=1e-4)
    assert planes.values[0, 11:].tolist() == [6, 5]


def test_an_image_without_a_place_is_there_and_lies_nowhere():
    header = make_volume().slices[0].header
    del header.ImagePositionPatient

    planes = planes_of([header])

    assert planes.of(header.SOPInstanceUID, 0) == [0]
    assert np.isnan(planes.values[0, :3]).all()


def test_no_images_are_no_planes():
    assert planes_of([]).values.shape == (0, 13)
