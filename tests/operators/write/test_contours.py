"""Contours: a polygon is its mask, to the pixel, in the coordinates of Graphic Data (PS3.3 C.18.6, C.10.5)."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage
from skimage.draw import polygon
from skimage.measure import points_in_poly

from operators.write.contours import (
    closed,
    is_simple,
    keyhole,
    outlines,
    ring_area_mm2,
    signed_area_px,
    simplified,
    to_lps,
)
from tests.builders import AXIAL, AXIAL_FEET, AXIAL_TURNED, OBLIQUE, make_affine

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.booleans())
RING = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


def filled(ring, shape) -> np.ndarray:
    """The pixels whose centres lie inside, by scikit-image, which puts whole numbers into the centres."""
    mask = np.zeros(shape, bool)
    mask[polygon(ring[:, 1] - 0.5, ring[:, 0] - 0.5, shape)] = True
    return mask


def disc(radius=20.0, hole=0.0) -> np.ndarray:
    rows, columns = np.mgrid[:50, :60]
    distance = np.hypot(rows - 25, columns - 28)
    return (distance <= radius) & (distance >= hole)


def test_pixel_in_the_corner_spans_zero_to_one():
    mask = np.zeros((3, 4), bool)
    mask[0, 0] = True

    (outline,) = outlines(mask)

    assert outline.outer.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_points_are_column_then_row():
    mask = np.zeros((9, 9), bool)
    mask[2, 5:8] = True

    (outline,) = outlines(mask)

    assert outline.outer.tolist() == [[5, 2], [8, 2], [8, 3], [5, 3]]


def test_whole_image_reaches_columns_and_rows():
    (outline,) = outlines(np.ones((3, 5), bool))

    assert outline.outer.max(axis=0).tolist() == [5, 3]
    assert outline.outer.min(axis=0).tolist() == [0, 0]


@given(masks)
def test_areas_are_the_count_of_pixels(mask):
    found = outlines(mask)

    rings = [ring for outline in found for ring in (outline.outer, *outline.holes)]
    assert sum(signed_area_px(ring) for ring in rings) == np.count_nonzero(mask)
    assert sum(outline.pixels for outline in found) == np.count_nonzero(mask)


@given(masks)
def test_filling_the_rings_gives_the_mask(mask):
    count = np.zeros(mask.shape, int)

    for outline in outlines(mask):
        count += filled(outline.outer, mask.shape)
        for hole in outline.holes:
            count -= filled(hole, mask.shape)

    assert np.array_equal(count, mask)


@given(masks)
def test_pieces_are_those_that_scipy_finds(mask):
    labels, pieces = ndimage.label(mask)

    found = outlines(mask)

    assert len(found) == pieces
    assert sorted(o.pixels for o in found) == sorted(np.bincount(labels[labels > 0])[1:])


@given(masks)
def test_outer_rings_run_clockwise_and_holes_against(mask):
    for outline in outlines(mask):
        assert signed_area_px(outline.outer) > 0
        assert all(signed_area_px(hole) < 0 for hole in outline.holes)


@given(masks)
def test_rings_turn_at_each_point_and_meet_none_twice(mask):
    for outline in outlines(mask):
        for ring in (outline.outer, *outline.holes):
            steps = np.diff(closed(ring), axis=0) != 0
            assert (steps.sum(axis=1) == 1).all()
            assert (steps[:, 0] != np.roll(steps[:, 0], 1)).all()
            assert len(np.unique(ring, axis=0)) == len(ring)
            assert (ring[0, 1], ring[0, 0]) == min((row, column) for column, row in ring)


@given(masks)
def test_holes_lie_in_the_outer_ring_of_their_piece(mask):
    for outline in outlines(mask):
        inside = filled(outline.outer, mask.shape)
        for hole in outline.holes:
            assert not (filled(hole, mask.shape) & ~inside).any()


@given(masks)
def test_keyhole_is_one_ring_with_the_pixels_of_the_outline(mask):
    union, parity = np.zeros(mask.shape, bool), np.zeros(mask.shape, bool)

    for outline in outlines(mask):
        ring = keyhole(outline)
        assert signed_area_px(ring) == outline.pixels
        pixels = filled(ring, mask.shape)
        union |= pixels
        parity ^= pixels

    assert np.array_equal(union, mask)
    assert np.array_equal(parity, mask)


@given(masks)
def test_keyhole_moves_along_edges_of_pixels_only(mask):
    for outline in outlines(mask):
        ring = keyhole(outline)
        assert (np.count_nonzero(np.diff(closed(ring), axis=0), axis=1) == 1).all()
        assert (ring == np.round(ring)).all()


def test_second_judge_counts_the_same_points_inside():
    mask = disc(hole=7.0)
    (outline,) = outlines(mask)
    centres = np.argwhere(np.ones_like(mask))[:, ::-1] + 0.5

    inside = points_in_poly(centres, keyhole(outline)).reshape(mask.shape)

    assert np.array_equal(inside, mask)


def test_ring_has_a_hole():
    (outline,) = outlines(RING)

    assert outline.pixels == 8
    assert [hole.tolist() for hole in outline.holes] == [[[1, 1], [1, 2], [2, 2], [2, 1]]]


def test_island_in_a_hole_is_an_outline_of_its_own():
    mask = np.pad(np.zeros((3, 3), bool), 1, constant_values=True)
    mask[2, 2] = True

    ring, island = outlines(mask)

    assert (ring.pixels, len(ring.holes)) == (16, 1)
    assert (island.pixels, len(island.holes)) == (1, 0)


def test_pixels_that_touch_at_a_corner_get_rings_of_their_own():
    first, second = outlines(np.array([[1, 0], [0, 1]], bool))

    assert first.outer.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert second.outer.tolist() == [[1, 1], [2, 1], [2, 2], [1, 2]]


def test_holes_that_touch_at_a_corner_are_two():
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False

    (outline,) = outlines(mask)

    assert [-signed_area_px(hole) for hole in outline.holes] == [1, 1]


def test_empty_mask_has_no_outline():
    assert outlines(np.zeros((4, 4), bool)) == ()


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.ones((1, 1)), True),
        (disc(), True),
        (RING, False),
        (np.array([[1, 0, 1]]), False),
        (np.array([[1, 0], [0, 1]]), False),
        (np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]]), False),
        (np.zeros((2, 2)), False),
    ],
    ids=["pixel", "disc", "ring", "two pieces", "diagonal", "bay closed at a corner", "empty"],
)
def test_only_one_piece_without_holes_is_simple(mask, expected):
    assert is_simple(mask.astype(bool)) is expected


def test_closed_ring_ends_where_it_begins():
    (outline,) = outlines(disc())

    ring = closed(outline.outer)

    assert np.array_equal(ring[0], ring[-1])
    assert np.array_equal(ring[:-1], outline.outer)


def test_area_is_pixels_times_their_size():
    mask = disc()
    (outline,) = outlines(mask)

    area = ring_area_mm2(outline.outer, 0.5, 0.25)

    assert area == np.count_nonzero(mask) * 0.125


def test_area_of_a_hole_is_positive():
    (outline,) = outlines(RING)

    assert ring_area_mm2(outline.holes[0], 2.0, 3.0) == 6.0


@pytest.mark.parametrize("tolerance", [0.5, 0.75, 2.0])
def test_simplified_ring_has_fewer_points_and_keeps_its_distance(tolerance):
    (outline,) = outlines(disc())

    ring = simplified(outline.outer, tolerance)

    assert 3 <= len(ring) < len(outline.outer)
    assert {tuple(p) for p in ring} < {tuple(p) for p in outline.outer}
    assert max(distance_to_ring(point, ring) for point in outline.outer) <= tolerance


def distance_to_ring(point, ring) -> float:
    start, end = ring, np.roll(ring, -1, axis=0)
    along = np.clip(((point - start) * (end - start)).sum(axis=1) / ((end - start) ** 2).sum(axis=1), 0, 1)
    return float(np.hypot(*(start + along[:, None] * (end - start) - point).T).min())


def test_ring_too_small_to_simplify_stays():
    (outline,) = outlines(np.ones((1, 1), bool))

    assert np.array_equal(simplified(outline.outer, 5.0), outline.outer)


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_TURNED, AXIAL_FEET, OBLIQUE])
def test_ring_in_the_patient_is_where_simpleitk_puts_it(directions):
    affine = make_affine(directions)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = SimpleITK.Image([6, 5, 4], SimpleITK.sitkUInt8)
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    ring = np.array([[0.5, 0.5], [4.0, 1.0], [3.0, 5.0]])

    points = to_lps(ring, 3, affine)

    # SimpleITK's continuous index is (column, row, slice), a whole number in the centre of a voxel.
    expected = [image.TransformContinuousIndexToPhysicalPoint([x - 0.5, y - 0.5, 3]) for x, y in ring.tolist()]
    assert points == pytest.approx(np.array(expected))
    assert points[0] == pytest.approx((affine @ (3, 0, 0, 1))[:3])
