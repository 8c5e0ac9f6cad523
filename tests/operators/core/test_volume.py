"""Volume: distances, volumes and positions follow from the affine alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.volume import Volume
from tests.builders import AXIAL, CORONAL, OBLIQUE, SAGITTAL, make_affine, make_volume

millimetres = st.floats(0.1, 20)


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
def test_spacing_is_that_of_slices_rows_columns(directions):
    volume = Volume(np.zeros((2, 2, 2)), make_affine(directions, (3.0, 0.8, 0.6)), "1.2", ())

    assert volume.spacing_mm == pytest.approx((3.0, 0.8, 0.6))


@given(spacing=st.tuples(millimetres, millimetres, millimetres), factor=st.floats(0.5, 3))
def test_voxel_volume_scales_with_each_spacing(spacing, factor):
    volumes = [
        Volume(np.zeros((1, 1, 1)), make_affine(OBLIQUE, mm), "1.2", ()).voxel_volume_mm3
        for mm in (spacing, (spacing[0] * factor, *spacing[1:]))
    ]

    assert volumes[0] == pytest.approx(spacing[0] * spacing[1] * spacing[2])
    assert volumes[1] == pytest.approx(factor * volumes[0])


def test_position_of_a_slice_is_its_image_position():
    volume = make_volume(affine_lps=make_affine(OBLIQUE))

    for index, source in enumerate(volume.slices):
        assert volume.position_lps(index) == pytest.approx([float(v) for v in source.header.ImagePositionPatient])


@pytest.mark.parametrize("name", ["array", "affine_lps"])
def test_arrays_are_read_only(name):
    array = getattr(make_volume(), name)

    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
