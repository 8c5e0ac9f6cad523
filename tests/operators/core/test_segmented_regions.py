"""Segmented regions: packed masks come back, and lie on another grid where SimpleITK puts them."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from operators.core.segmented_regions import Grid, RegionBuilder, SegmentedObject, SegmentedRegions
from tests.builders import ALGORITHM, OBLIQUE, TISSUES, make_affine
from tests.segmented import blob, sitk_image, whole


def region_of(mask, affine_lps=None):
    affine_lps = make_affine() if affine_lps is None else affine_lps
    builder = RegionBuilder()
    for index, plane in enumerate(mask):
        builder.add(index, plane)
    return builder.region(TISSUES[1], Grid(mask.shape, affine_lps.copy()))


@given(arrays(bool, st.tuples(*[st.integers(1, 6)] * 3)))
def test_a_packed_mask_comes_back(mask):
    region = region_of(mask)

    assert np.array_equal(whole(region), mask)
    assert region.voxels == mask.sum()


def test_planes_of_one_slice_are_united():
    builder = RegionBuilder()
    one, other = np.zeros((2, 4, 5), bool)
    one[0, 1], other[3, 4] = True, True
    builder.add(2, one)
    builder.add(2, other)

    region = builder.region(TISSUES[1], Grid((3, 4, 5), make_affine()))

    assert np.array_equal(whole(region)[2], one | other)


@given(shift=st.tuples(*[st.integers(-8, 8)] * 3))
def test_on_a_grid_that_is_shifted_by_voxels_every_voxel_stays_what_it_is(shift):
    mask = np.random.default_rng(5).random((5, 6, 7)) > 0.4
    affine = make_affine(OBLIQUE)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ shift
    target = Grid((6, 5, 8), moved)

    found = whole(region_of(mask, affine), target)

    expected = np.zeros(target.shape, bool)
    for index in np.argwhere(mask):
        place = index - shift
        if (place >= 0).all() and (place < target.shape).all():
            expected[tuple(place)] = True
    assert np.array_equal(found, expected)


@settings(max_examples=60)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 4)] * 3),
    offset=st.tuples(*[st.floats(-6, 6)] * 3),
)
def test_on_another_grid_a_region_is_what_simpleitk_resamples(angles, spacing, offset):
    mask = blob((7, 12, 10), (3, 6, 5), (3, 5, 4))
    own, other = make_affine(), np.eye(4)
    other[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing
    middle = (own @ (3, 6, 5, 1))[:3] + offset
    other[:3, 3] = middle - other[:3, :3] @ (4, 4, 5)
    target = Grid((9, 8, 11), other)

    found = whole(region_of(mask, own), target)

    theirs = SimpleITK.Resample(
        sitk_image(mask.astype(np.uint8), own),
        sitk_image(found.astype(np.uint8), target.affine_lps),
        SimpleITK.Transform(),
        SimpleITK.sitkNearestNeighbor,
        0,
    )
    assert np.array_equal(SimpleITK.GetArrayFromImage(theirs) > 0, found)


def test_a_region_beyond_the_other_grid_has_no_voxel_there():
    far = make_affine(origin_mm=(500.0, 0.0, 0.0))

    assert not region_of(np.ones((3, 3, 3), bool)).on(Grid((4, 4, 4), far)).mask.any()
    assert not region_of(np.ones((3, 3, 3), bool)).on(Grid((4, 4, 4), far * [[1.1], [1], [1], [1]])).mask.any()


def test_a_plane_of_a_box_lies_where_the_box_does():
    mask = np.zeros((4, 6, 7), bool)
    mask[2, 3:5, 1:4] = True

    assert np.array_equal(region_of(mask).box.plane(2, (6, 7)), mask[2])


def test_an_unknown_name_says_which_there_are():
    regions = SegmentedRegions(
        (SegmentedObject(None, "BINARY", (region_of(np.ones((1, 1, 1), bool)),)),), Grid((1, 1, 1), make_affine()),
        ALGORITHM,
    )  # fmt: skip

    assert regions.segment("bone") is TISSUES[1]
    with pytest.raises(KeyError, match="bone"):
        regions.segment("liver")


def test_what_is_inside_is_the_union_of_all_regions_on_the_grid_of_the_images():
    affine, shape = make_affine(), (6, 8, 9)
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    first[1:3, 2:5, 3:6] = second[2:5, 4:7, 1:4] = True
    objects = (SegmentedObject(None, "BINARY", (region_of(first, affine), region_of(second, affine))),)

    found = SegmentedRegions(objects, Grid(shape, affine.copy()), ALGORITHM)

    assert np.array_equal(found.inside, first | second)
