"""MeasureShapes: bodies whose volume, surface and pieces are known, and SimpleITK's."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation
from skimage.measure import marching_cubes, mesh_surface_area

from operators.core.segmented_regions import Grid, SegmentedObject, SegmentedRegions
from operators.measure.measure_shapes import SLAB, component_count, measure_shapes, mesh_surface_mm2
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


@pytest.mark.parametrize(
    ("spacing_mm", "excess"), [((1, 1, 1), 0.09), ((2.5, 1, 1), 0.14), ((5, 0.7, 0.7), 0.24)], ids=str
)
def test_surface_of_a_ball_exceeds_it_by_what_the_docstring_says(spacing_mm, excess):
    surface = mesh_surface_mm2(ball(40, spacing_mm), np.diag(spacing_mm).astype(float))

    assert surface / (4 * np.pi * 40**2) - 1 == pytest.approx(excess, abs=0.01)


def test_surface_of_a_long_rod_is_that_of_its_octagonal_mesh():
    # Marching cubes cuts the edges of a rod of n x n pixels: its section is a square of n, its corners cut off by half.
    n, length = 5, 400
    mask = np.ones((length, n, n), bool)

    per_mm = mesh_surface_mm2(mask, np.eye(3)) / length

    assert per_mm == pytest.approx(4 * (n - 1) + 4 * np.sqrt(0.5), rel=0.01)


def test_slabs_make_no_difference():
    mask = np.random.default_rng(4).random((2 * SLAB + 5, 9, 8)) > 0.6
    axes = make_affine(OBLIQUE)[:3, :3]
    corners, faces, _, _ = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5)

    assert mesh_surface_mm2(mask, axes) == pytest.approx(mesh_surface_area(corners @ axes.T, faces), rel=1e-6)


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
    # The mesh of a voxel pattern with a saddle depends on how it lies: those are few.
    assert after["surface_cm2"] == pytest.approx(before["surface_cm2"] * scale**2, rel=0.05)


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
