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


@pytest.mark.parametrize("name", ["array", "affine_lps", "padding"])
def test_arrays_are_read_only(name):
    volume = Volume(np.zeros((2, 2, 2)), make_affine(), "1.2", (), padding=np.zeros((2, 2, 2), bool))

    with pytest.raises(ValueError, match="read-only"):
        getattr(volume, name)[0] = 1


@pytest.mark.parametrize("shear_mm", [0.0, 1.5, -4.0])
def test_shear_does_not_change_the_volume_of_a_voxel(shear_mm):
    """A tilted gantry moves slices against each other; what lies between them stays as much."""
    affine = make_affine(AXIAL, (3.0, 0.8, 0.6))
    affine[1, 0] = shear_mm

    volume = Volume(np.zeros((1, 1, 1)), affine, "1.2", ())

    assert volume.voxel_volume_mm3 == pytest.approx(3.0 * 0.8 * 0.6)
