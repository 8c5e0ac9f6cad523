"""MeasureDiameters: as long as the longest of all pairs of points, and as ellipses whose axes are known."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage
from scipy.spatial.distance import pdist
from skimage.measure import find_contours

from operators.measure.measure_diameters import axes_of, measure_diameters
from tests.builders import OBLIQUE, make_affine
from tests.operators.measure.test_measure_shapes import regions_of
from tests.segmented import make_study, read

SPACINGS = st.tuples(st.floats(0.3, 2), st.floats(0.3, 2))
MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def example(tmp_path):
    return None, {"label_map": read(make_study(tmp_path))[1]}


def measured(mask, spacing_mm=(3.0, 0.8, 0.6)):
    (found,) = measure_diameters(regions_of(mask, make_affine(OBLIQUE, spacing_mm)))
    return found


def borders(piece):
    """Brute force: the middle between each pixel inside and each neighbour outside."""
    points = []
    for row, column in np.argwhere(piece):
        for down, right in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            beyond = row + down, column + right
            if min(beyond) < 0 or beyond[0] >= piece.shape[0] or beyond[1] >= piece.shape[1] or not piece[beyond]:
                points.append((row + down / 2, column + right / 2))
    return np.array(points)


def first_piece(mask):
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    assume(count)
    return labels == 1


@given(MASKS, SPACINGS)
def test_long_axis_is_the_longest_of_all_pairs(mask, spacing_mm):
    piece = first_piece(mask)

    long_axis, _ = axes_of(piece, np.array(spacing_mm))

    assert long_axis.length_mm == pytest.approx(pdist(borders(piece) * spacing_mm).max(), abs=1e-12)
    ends = np.array([long_axis.first, long_axis.second])
    assert pdist(ends * spacing_mm)[0] == pytest.approx(long_axis.length_mm)
    assert all((borders(piece) == end).all(axis=1).any() for end in ends)


def spans_by_brute_force(piece, long_axis, spacing_mm):
    """The extent of the outline on lines across the long axis: at its corners, and at many places between them."""
    rings = find_contours(np.pad(piece, 1).astype(float), 0.5, fully_connected="high")
    edges = [np.array(pair) - 1 for ring in rings for pair in itertools.pairwise(ring)]
    direction = (np.array(long_axis.second) - long_axis.first) * spacing_mm
    direction /= np.linalg.norm(direction)
    across = np.array([-direction[1], direction[0]])
    corners = np.unique([e @ direction for edge in edges for e in edge * spacing_mm])
    between = [a + (b - a) * np.linspace(0, 1, 4) for a, b in itertools.pairwise(corners)]
    for place in np.unique(np.concatenate([corners, *between])):
        met = []
        for start, end in (edge * spacing_mm for edge in edges):
            low, high = sorted((start @ direction, end @ direction))
            if low - 1e-12 <= place <= high + 1e-12:
                share = (place - start @ direction) / ((end - start) @ direction) if high - low > 1e-12 else None
                met += [start @ across, end @ across] if share is None else [(start + share * (end - start)) @ across]
        yield max(met) - min(met) if met else 0.0


@given(MASKS, SPACINGS)
def test_short_axis_is_the_longest_across(mask, spacing_mm):
    piece = first_piece(mask)

    long_axis, short_axis = axes_of(piece, np.array(spacing_mm))

    assert short_axis.length_mm == pytest.approx(max(spans_by_brute_force(piece, long_axis, spacing_mm)), abs=1e-6)
    ends = np.array([short_axis.first, short_axis.second]) * spacing_mm
    direction = (np.array(long_axis.second) - long_axis.first) * spacing_mm
    assert (ends[1] - ends[0]) @ direction == pytest.approx(0, abs=1e-9)
    assert pdist(ends)[0] == pytest.approx(short_axis.length_mm, abs=1e-12)
    assert short_axis.length_mm <= long_axis.length_mm + 1e-12


def test_a_row_of_pixels_is_as_long_as_they_are_together():
    mask = np.zeros((1, 3, 9), bool)
    mask[0, 1, 2:7] = True

    found = measured(mask)

    assert found.long_axis.length_mm == pytest.approx(5 * 0.6)
    assert found.short_axis.length_mm == pytest.approx(0.8)
    assert (found.long_axis.first, found.long_axis.second) == ((1.0, 1.5), (1.0, 6.5))


def test_the_slice_with_the_longest_diameter_counts_and_pieces_are_not_joined():
    mask = np.zeros((4, 9, 20), bool)
    mask[1, 1:4, 1:3] = True
    mask[1, 1:4, 17:19] = True
    mask[2, 6, 4:13] = True

    found = measured(mask)

    assert found.slice_index == 2
    assert found.long_axis.length_mm == pytest.approx(9 * 0.6)


def test_lengths_of_axes_are_the_values():
    mask = np.ones((2, 3, 4), bool)

    found = measured(mask)

    values = {v.quantity.name: v.value for v in found.measured.values}
    assert values["long_axis_mm"] == pytest.approx(found.long_axis.length_mm)
    assert values["short_axis_mm"] == pytest.approx(found.short_axis.length_mm)


def test_an_empty_segment_has_no_axes():
    found = measured(np.zeros((2, 3, 4), bool))

    assert (found.long_axis, found.short_axis, found.measured.values) == (None, None, ())


def ellipse_errors(count, seed):
    """Error of both axes of random ellipses, in pixel diagonals."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        spacing = rng.uniform(0.5, 1.2, 2)
        long = rng.uniform(4, 30)
        short, turn, centre = long * rng.uniform(0.4, 0.95), rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5, 2)
        half = int(long / spacing.min()) + 3
        rows, columns = (np.mgrid[-half : half + 1, -half : half + 1] - centre[:, None, None]) * spacing[:, None, None]
        u, v = columns * np.cos(turn) + rows * np.sin(turn), rows * np.cos(turn) - columns * np.sin(turn)
        long_axis, short_axis = axes_of((u / long) ** 2 + (v / short) ** 2 <= 1, spacing)
        diagonal = np.linalg.norm(spacing)
        yield (long_axis.length_mm - 2 * long) / diagonal, (short_axis.length_mm - 2 * short) / diagonal


def test_diameters_of_ellipses_are_right_to_a_pixels_diagonal():
    errors = np.abs(list(ellipse_errors(150, 11)))

    assert errors.max() <= 1.0


@given(st.booleans(), st.booleans(), st.booleans(), st.floats(0.5, 2))
def test_flips_and_a_quarter_turn_change_nothing_and_scale_only_the_scale(upside, leftright, turned, scale):
    mask = np.random.default_rng(6).random((3, 9, 11)) > 0.5
    before = measured(mask, (2.0, 0.9, 0.9))
    stored = mask[:, :: -1 if upside else 1, :: -1 if leftright else 1]
    stored = np.swapaxes(stored, 1, 2) if turned else stored

    after = measured(stored, (2.0 * scale, 0.9 * scale, 0.9 * scale))

    assert after.long_axis.length_mm == pytest.approx(before.long_axis.length_mm * scale)
