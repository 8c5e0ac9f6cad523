"""Orientation: axes are swapped and flipped to run towards head, back and left, and back again."""

from itertools import permutations, product

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.orientation import Orientation, canonical
from operators.core.patient_ends import AS_STORED
from tests.builders import OBLIQUE, make_affine

ARRAY = np.arange(2 * 3 * 4).reshape(2, 3, 4)
ORDERS = list(permutations(range(3)))
FLIPS = [tuple(axis for axis in range(3) if chosen[axis]) for chosen in product((False, True), repeat=3)]
ALL = [Orientation(order, flips) for order in ORDERS for flips in FLIPS]


def affine_of(order, signs, spacing_mm=(3.0, 0.8, 0.6)) -> np.ndarray:
    """Array axis k runs along LPS axis order[k], forwards or backwards."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (lps_axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[lps_axis, axis] = sign * spacing_mm[axis]
    return affine


def test_there_are_48_orientations():
    assert len(ALL) == 48


@pytest.mark.parametrize("orientation", ALL, ids=lambda o: f"{o.order}{o.flips}")
def test_undo_is_the_inverse_of_apply(orientation):
    turned = orientation.apply(ARRAY)

    assert np.array_equal(orientation.undo(turned), ARRAY)
    assert np.array_equal(orientation.apply(orientation.undo(turned)), turned)


def test_apply_makes_a_view():
    assert np.shares_memory(Orientation((2, 0, 1), (1,)).apply(ARRAY), ARRAY)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_canonical_axes_run_to_head_back_and_left(order, signs):
    affine = affine_of(order, signs)
    centres = np.moveaxis(np.indices(ARRAY.shape), 0, -1) @ affine[:3, :3].T

    turn = canonical(affine)

    x, y, z = (turn.apply(centres[..., axis]) for axis in range(3))
    assert (np.diff(z, axis=0) > 0).all()
    assert (np.diff(y, axis=1) > 0).all()
    assert (np.diff(x, axis=2) > 0).all()
    assert np.ptp(z, axis=(1, 2)) == pytest.approx(0)


@given(
    order=st.sampled_from(ORDERS),
    signs=st.tuples(*[st.sampled_from((1, -1))] * 3),
    spacing_mm=st.tuples(*[st.floats(0.1, 10)] * 3),
)
def test_spacing_follows_its_axis(order, signs, spacing_mm):
    turn = canonical(affine_of(order, signs, spacing_mm))

    expected = [spacing_mm[order.index(lps_axis)] for lps_axis in (2, 1, 0)]

    assert turn.apply_spacing(spacing_mm) == pytest.approx(expected)


def test_oblique_stack_goes_to_the_nearest_axes():
    assert canonical(make_affine(OBLIQUE)) == Orientation((0, 1, 2), ())


@pytest.mark.parametrize("towards", ["LPS", "RAS", "LAS", "PIR", "SAL"])
@given(
    order=st.sampled_from(ORDERS),
    signs=st.tuples(*[st.sampled_from((1, -1))] * 3),
)
def test_any_orientation_is_that_of_nibabel(towards, order, signs):
    affine = affine_of(order, signs)
    turn = canonical(affine, towards)

    turned = turn.apply_affine(affine, ARRAY.shape)

    # nibabel has columns first, and RAS.
    affine_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ turned[:, [2, 1, 0, 3]]
    assert "".join(nibabel.aff2axcodes(affine_ras)) == towards


@given(order=st.sampled_from(ORDERS), signs=st.tuples(*[st.sampled_from((1, -1))] * 3))
def test_a_voxel_stays_at_its_place(order, signs):
    affine = affine_of(order, signs)
    affine[:3, 3] = (10, -20, 30)
    turn = canonical(affine)

    turned = turn.apply_affine(affine, ARRAY.shape)

    for value in ARRAY.ravel():
        before, after = (np.argwhere(array == value)[0] for array in (ARRAY, turn.apply(ARRAY)))
        assert turned @ (*after, 1) == pytest.approx(affine @ (*before, 1))


def test_as_stored_turns_nothing():
    assert canonical(affine_of((2, 0, 1), (-1, 1, -1)), AS_STORED) == Orientation((0, 1, 2), ())
