"""Border contact: the sides of the patient at which the images cut a region."""

import numpy as np
import pytest

from operators.core.border_contact import border_contacts
from operators.core.segmented_regions import Grid
from tests.builders import AXIAL, AXIAL_FEET, AXIAL_TURNED, CORONAL, SAGITTAL, make_affine
from tests.operators.core.test_segmented_regions import region_of

SHAPE = (5, 6, 7)
SIDES = ("right", "left", "front", "back", "feet", "head")


def test_a_region_inside_touches_nothing():
    mask = np.zeros(SHAPE, bool)
    mask[1:-1, 1:-1, 1:-1] = True

    assert border_contacts(region_of(mask), Grid(SHAPE, make_affine())) == ()
    assert border_contacts(region_of(np.zeros(SHAPE, bool)), Grid(SHAPE, make_affine())) == ()


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, CORONAL, SAGITTAL])
@pytest.mark.parametrize(("side", "axis", "sign"), [(s, n // 2, n % 2 * 2 - 1) for n, s in enumerate(SIDES)])
def test_the_side_is_the_patients_however_the_images_lie(directions, side, axis, sign):
    affine = make_affine(directions)
    grid = Grid(SHAPE, affine)
    centres = np.argwhere(np.ones(SHAPE, bool)) @ affine[:3, :3].T
    outermost = np.isclose(sign * centres[:, axis], (sign * centres[:, axis]).max()).reshape(SHAPE)
    inside = np.zeros(SHAPE, bool)
    inside[1:-1, 1:-1, 1:-1] = True
    middle = tuple(n // 2 for n in SHAPE)
    mask = inside & (np.indices(SHAPE) == np.array(middle)[:, None, None, None]).sum(axis=0).astype(bool)
    index = min(np.argwhere(outermost), key=lambda i: np.abs(i - middle).sum())
    mask[tuple(index)] = True

    assert border_contacts(region_of(mask, affine), grid) == (side,)


def test_a_voxel_of_another_grid_touches_with_its_box():
    images = Grid((5, 6, 7), make_affine(AXIAL, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    # A voxel of 2 mm from 3.5 to 5.5 mm: the images end at 6.5 mm, and with its centre at 5.6 at 6.6 mm.
    one = np.ones((1, 1, 1), bool)

    assert border_contacts(region_of(one, make_affine(AXIAL, (2.0,) * 3, (4.5, 2.5, 2.0))), images) == ()
    assert border_contacts(region_of(one, make_affine(AXIAL, (2.0,) * 3, (5.6, 2.5, 2.0))), images) == ("left",)
