"""MeasureShapes: bodies whose volume, surface and pieces are known, and SimpleITK's."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from mapnode.phantom.lesions import lesion_mask, random_lesion
from operators.core.segmented_regions import Grid, SegmentedObject, SegmentedRegions
from operators.measure.measure_shapes import (
    component_count,
    crofton_surface_mm2,
    line_steps,
    measure_shapes,
    voronoi_weights,
)
from tests.builders import ALGORITHM, OBLIQUE, make_affine
from tests.operators.core.test_segmented_regions import region_of
from tests.segmented import make_study, read, sitk_image


def example(tmp_path):
    return None, {"label_map": read(make_study(tmp_path))[1]}


def regions_of(mask, affine_lps=None):
    region = region_of(mask, affine_lps)
    return SegmentedRegions((SegmentedObject(None, "BINARY", (region,)),), region.grid, ALGORITHM)


def measured(mask, affine_lps=None):
    (found,) = measure_shapes(regions_of(mask, affine_lps))
    return {value.quantity.name: value.value for value in found.values}


def ball(radius_mm, spacing_mm, offset=0.13):
    counts = [int(radius_mm / s) + 2 for s in spacing_mm]
    axes = [np.arange(-n, n + 1) * s + offset * s for n, s in zip(counts, spacing_mm, strict=True)]
    return sum(a * a for a in np.meshgrid(*axes, indexing="ij")) <= radius_mm**2


def test_volume_of_a_box_is_its_edges_multiplied():
    mask = np.zeros((12, 12, 12), bool)
    mask[1:11, 2:12, 4:9] = True

    assert measured(mask, make_affine(OBLIQUE))["volume_ml"] == pytest.approx(10 * 3.0 * 10 * 0.8 * 5 * 0.6 / 1000)


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (2.5, 1, 1), (5, 0.7, 0.7), (3, 1.2, 1.2)], ids=str)
def test_surface_of_a_ball_has_no_bias_however_thick_the_slices_are(spacing_mm):
    surface = crofton_surface_mm2(ball(40, spacing_mm), np.diag(spacing_mm).astype(float))

    assert surface == pytest.approx(4 * np.pi * 40**2, rel=0.01)


@pytest.mark.parametrize("thickness_mm", [1.0, 2.0, 3.0, 4.0, 5.0])
def test_surface_of_ellipsoids_is_right_within_3_percent_on_average(thickness_mm):
    rng = np.random.default_rng(11)
    affine = make_affine(spacing_mm=(thickness_mm, 0.8, 0.8))
    shape = (round(70 / thickness_mm), 88, 88)
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    lesions = [random_lesion(rng, (0.0, 0.0, 0.0), half_axis_mm=(8.0, 25.0)) for _ in range(12)]

    found = [crofton_surface_mm2(lesion_mask(shape, affine, each), affine[:3, :3]) / 100 for each in lesions]

    errors = np.array(found) / [each.surface_cm2 for each in lesions] - 1
    assert abs(errors.mean()) < 0.03
    assert np.all(np.abs(errors) < 0.07)


def test_a_ball_between_two_slices_is_too_small_as_the_docstring_says():
    surface = crofton_surface_mm2(ball(5, (5, 1, 1), offset=0.5), np.diag([5.0, 1.0, 1.0]))

    assert -0.16 < surface / (4 * np.pi * 5**2) - 1 < -0.05


def facets(spacing_mm):
    """What is measured of flat faces that look along some directions, over what they are."""
    normals = np.random.default_rng(2).normal(size=(5000, 3))
    normals = np.concatenate([normals / np.linalg.norm(normals, axis=1)[:, None], np.eye(3)])
    vectors = line_steps(np.diag(spacing_mm)) * spacing_mm
    directions = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return 2 * np.abs(normals @ directions.T) @ voronoi_weights(directions)


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (1, 0.7, 0.7), (1, 1.2, 1.2), (5, 0.5, 0.5), (5, 0.9, 0.9)], ids=str)
def test_flat_faces_are_seen_as_the_docstring_says(spacing_mm):
    seen = facets(np.array(spacing_mm, float))

    assert 0.90 < seen.min() < seen.max() < 1.08
    assert np.all((seen[-3:] > 0.91) & (seen[-3:] < 0.94))
    # Faces of all directions together have their area.
    assert seen.mean() == pytest.approx(1, abs=0.005)


def test_a_box_of_voxels_has_its_faces_as_lines_see_them():
    mask = np.ones((400, 400, 400), bool)[:, :, :300]
    area = 2 * (400 * 400 + 2 * 400 * 300)

    assert crofton_surface_mm2(mask, np.eye(3)) / area == pytest.approx(facets(np.ones(3))[-1], abs=0.005)


def test_weights_of_cubic_voxels_are_the_published_ones():
    # Lehmann and Legland 2012, as ITK has them: along an edge, along the diagonal of a face, along that of the cube.
    published = {1: 0.04577789120476, 2: 0.03698062787608, 3: 0.03519563978232}
    steps = line_steps(np.eye(3))

    weights = voronoi_weights(steps / np.linalg.norm(steps, axis=1)[:, None])

    assert weights == pytest.approx([2 * published[np.count_nonzero(step)] for step in steps], abs=1e-9)


@given(arrays(bool, (5, 6, 7)), st.floats(0.3, 5))
def test_surface_on_cubic_voxels_is_simpleitks(mask, spacing_mm):
    mask[2, 2, 2] = True
    image = SimpleITK.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
    image.SetSpacing((spacing_mm,) * 3)
    judge = SimpleITK.LabelShapeStatisticsImageFilter()
    judge.ComputePerimeterOn()
    judge.Execute(image)

    assert crofton_surface_mm2(mask, np.eye(3) * spacing_mm) == pytest.approx(judge.GetPerimeter(1), rel=1e-9)


@given(arrays(bool, (5, 6, 7)))
def test_pieces_are_those_that_simpleitk_counts_with_all_neighbours(mask):
    counted = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.astype(np.uint8)), True)

    assert component_count(mask) == SimpleITK.GetArrayFromImage(counted).max()


@given(
    st.tuples(*[st.booleans()] * 3),
    st.permutations(range(3)),
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.floats(0.5, 2),
)
def test_flips_turns_and_scale_change_nothing_but_the_scale(flips, order, angles, scale):
    mask = np.random.default_rng(8).random((7, 8, 9)) > 0.7
    spacing = np.array([2.0, 0.9, 0.7])
    before = measured(mask, make_affine(spacing_mm=tuple(spacing)))
    stored = np.transpose(mask[tuple(slice(None, None, -1 if f else 1) for f in flips)], order)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() * spacing[list(order)] * scale

    after = measured(stored, affine)

    assert after["volume_ml"] == pytest.approx(before["volume_ml"] * scale**3)
    assert after["components"] == before["components"]
    assert after["surface_cm2"] == pytest.approx(before["surface_cm2"] * scale**2)


def test_volume_is_simpleitks():
    mask = ball(9, (2.0, 0.8, 0.6))
    affine = make_affine(OBLIQUE, (2.0, 0.8, 0.6))
    judge = SimpleITK.LabelShapeStatisticsImageFilter()
    judge.Execute(sitk_image(mask.astype(np.uint8), affine))

    assert measured(mask, affine)["volume_ml"] == pytest.approx(judge.GetPhysicalSize(1) / 1000, rel=1e-9)


def test_an_empty_segment_has_a_volume_of_nothing_and_no_more():
    assert measured(np.zeros((2, 3, 4), bool)) == {"volume_ml": 0.0}


def test_progress_ends_with_the_whole():
    heard = []

    measure_shapes(regions_of(ball(3, (1, 1, 1))), heard.append)

    assert heard == [1.0]


def test_a_grid_knows_its_spacing():
    assert Grid((1, 1, 1), make_affine(OBLIQUE)).spacing_mm == pytest.approx((3.0, 0.8, 0.6))
