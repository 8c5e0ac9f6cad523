"""Lesions: their closed forms agree with brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from mapnode.phantom.lesions import Lesion, add_lesions, lesion_mask, random_lesion

lengths = st.floats(4.0, 30.0)
angles = st.floats(0.0, 180.0)


def make_affine(spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0)) -> np.ndarray:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[:3, 3] = origin_mm
    affine[3, 3] = 1
    return affine


def surface_points(lesion: Lesion, count: int) -> np.ndarray:
    """Points on the surface, dense everywhere."""
    u, v = np.meshgrid(np.linspace(0, 2 * math.pi, count), np.linspace(0, math.pi, count // 2))
    unit = np.stack([np.cos(u) * np.sin(v), np.sin(u) * np.sin(v), np.cos(v)], axis=-1).reshape(-1, 3)
    turn = Rotation.from_euler("xyz", lesion.rotation_deg, degrees=True)
    return turn.apply(unit * lesion.half_axes_mm) + lesion.centre_mm


@given(st.tuples(lengths, lengths, lengths), st.tuples(angles, angles, angles))
def test_volume_and_surface_are_those_of_a_fine_polyhedron(half_axes_mm, rotation_deg):
    lesion = Lesion((1.0, -2.0, 3.0), half_axes_mm, rotation_deg)

    hull = ConvexHull(surface_points(lesion, 90))

    assert lesion.volume_ml * 1000 == pytest.approx(hull.volume, rel=0.01)
    assert lesion.surface_cm2 * 100 == pytest.approx(hull.area, rel=0.01)


@given(st.tuples(lengths, lengths, lengths), st.tuples(angles, angles, angles))
def test_axial_diameters_are_those_of_the_middle_section_by_brute_force(half_axes_mm, rotation_deg):
    lesion = Lesion((0.0, 0.0, 0.0), half_axes_mm, rotation_deg)
    directions = np.radians(np.arange(0, 180, 0.5))
    unit = np.stack([np.cos(directions), np.sin(directions), np.zeros(directions.size)], axis=1)
    # Along a direction the surface lies where the quadratic form is 1: bisect for it.
    low, high = np.zeros(directions.size), np.full(directions.size, 31.0)
    for _ in range(40):
        middle = (low + high) / 2
        inside = lesion.contains(unit * middle[:, None])
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)

    assert lesion.longest_axial_diameter_mm == pytest.approx(2 * low.max(), rel=1e-3)
    assert lesion.perpendicular_axial_diameter_mm == pytest.approx(2 * low.min(), rel=1e-3)


def test_no_other_axial_plane_has_a_longer_diameter():
    lesion = Lesion((0.0, 0.0, 0.0), (8.0, 20.0, 13.0), (30.0, 50.0, 70.0))
    points = surface_points(lesion, 900)

    longest = max(
        pdist(plane[:, :2]).max()
        for z in np.arange(-15, 15, 1.0)
        if len(plane := points[np.abs(points[:, 2] - z) < 0.05]) > 1
    )

    # The points of a plane lie up to 0.05 mm beside it.
    assert longest <= lesion.longest_axial_diameter_mm + 0.2


@given(
    st.tuples(lengths, lengths, lengths),
    st.tuples(angles, angles, angles),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 1.0, 0.7), (1.0, 0.8, 1.5)]),
)
def test_voxels_fill_the_volume(half_axes_mm, rotation_deg, spacing_mm):
    lesion = Lesion((40.0, 40.3, 39.8), half_axes_mm, rotation_deg)
    shape = tuple(math.ceil(80 / step) for step in spacing_mm)

    mask = lesion_mask(shape, make_affine(spacing_mm), lesion)

    shell_ml = lesion.surface_cm2 * np.linalg.norm(spacing_mm) / 2 / 10
    assert mask.sum() * math.prod(spacing_mm) / 1000 == pytest.approx(lesion.volume_ml, abs=shell_ml * 0.2)


def test_mask_of_a_box_equals_the_mask_of_the_whole_grid_in_a_turned_grid():
    lesion = Lesion((3.0, 5.0, -4.0), (6.0, 9.0, 12.0), (10.0, 20.0, 30.0))
    affine = make_affine((-2.0, 1.5, 1.0), (-20.0, -15.0, 20.0))
    affine[:3, :3] = Rotation.from_euler("x", 20, degrees=True).as_matrix() @ affine[:3, :3]
    indices = np.stack([*np.indices((25, 30, 40)), np.ones((25, 30, 40))], axis=-1)

    mask = lesion_mask((25, 30, 40), affine, lesion)

    assert mask.any()
    assert np.array_equal(mask, lesion.contains((indices @ affine.T)[..., :3]))


def test_lesion_outside_the_field_adds_nothing():
    background = np.full((5, 6, 7), 40.0, dtype=np.float32)

    out = add_lesions(background, make_affine(), [Lesion((100.0, 0.0, 0.0), (5.0, 5.0, 5.0))])

    assert np.array_equal(out, background)


def test_later_lesion_covers_the_earlier_and_the_background_keeps_its_type():
    big, small = Lesion((10.0, 10.0, 10.0), (8.0,) * 3, value=2.5), Lesion((10.0, 10.0, 10.0), (3.0,) * 3, value=7.0)

    out = add_lesions(np.ones((20, 20, 20), dtype=np.float32), make_affine(), [big, small])

    assert (out.dtype, out[10, 10, 10], out[10, 10, 15], out[0, 0, 0]) == (np.float32, 7.0, 2.5, 1.0)


def test_equal_states_of_chance_give_equal_lesions():
    first, second = (random_lesion(np.random.default_rng(5), (0.0, 0.0, 0.0)) for _ in range(2))

    assert first == second


def test_ellipsoid_without_extent_is_refused():
    with pytest.raises(ValueError, match="longer than 0 mm"):
        Lesion((0.0, 0.0, 0.0), (5.0, 0.0, 5.0))
