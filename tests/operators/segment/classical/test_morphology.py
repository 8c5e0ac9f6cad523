import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from operators.segment.classical import morphology

SPACING_MM = (5.0, 1.0, 2.0)


def _box(shape, *slices):
    mask = np.zeros(shape, dtype=bool)
    mask[slices] = True
    return mask


def test_dilation_reaches_the_same_mm_along_each_axis():
    grown = morphology.dilate(_box((5, 21, 21), 2, 10, 10), 6.0, SPACING_MM)

    extent = [np.flatnonzero(grown.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    assert [len(indices) for indices in extent] == [3, 13, 7]


def test_a_plane_alone_has_the_distances_that_it_has_in_a_stack_of_its_like():
    plane = np.random.default_rng(3).random((30, 40)) < 0.9

    alone = morphology.distance_inside(plane[None], (5.0, 0.7, 1.3))
    stacked = morphology.distance_inside(np.stack([plane] * 3), (5.0, 0.7, 1.3))

    np.testing.assert_array_equal(alone[0], stacked[1])


@settings(max_examples=40, deadline=None)
@given(
    mask=arrays(bool, array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6), fill=st.just(False)),
    spacing_mm=st.tuples(*[st.floats(0.5, 4)] * 3),
    radius_mm=st.floats(0.3, 9),
)
def test_dilation_and_erosion_are_those_of_every_pair_of_voxels(mask, spacing_mm, radius_mm):
    places = np.argwhere(np.ones(mask.shape, bool)) * spacing_mm
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    assume(np.abs(apart - radius_mm).min() > 1e-4)  # what is as far as the radius may count or not
    near = apart <= radius_mm
    inside = mask.ravel()

    np.testing.assert_array_equal(morphology.dilate(mask, radius_mm, spacing_mm).ravel(), (near & inside).any(axis=1))
    np.testing.assert_array_equal(
        morphology.erode(mask, radius_mm, spacing_mm).ravel(), inside & ~(near & ~inside).any(axis=1)
    )


def test_opening_removes_what_is_thin_and_keeps_what_is_thick():
    mask = _box((9, 40, 40), slice(None), slice(5, 25), slice(5, 25))
    mask |= _box((9, 40, 40), slice(None), 32, slice(None))

    opened = morphology.open_ball(mask, 3.0, (1.0, 1.0, 1.0))

    assert opened[4, 15, 15]
    assert not opened[:, 32].any()


def test_closing_bridges_a_gap_and_keeps_to_its_outline():
    mask = _box((3, 30, 30), slice(None), slice(5, 10), slice(5, 25)) | _box(
        (3, 30, 30), slice(None), slice(14, 20), slice(5, 25)
    )

    closed = morphology.close_ball(mask, 4.0, (1.0, 1.0, 1.0))

    assert closed[:, 11, 15].all()
    assert not closed[:, 2].any()
    assert (closed | ~mask).all()


def test_closing_of_an_empty_mask_is_empty():
    assert not morphology.close_ball(np.zeros((2, 5, 5), dtype=bool), 3.0, SPACING_MM).any()


def test_disc_closing_does_not_see_other_slices():
    mask = _box((3, 20, 20), 0, slice(2, 18), slice(2, 18)) | _box((3, 20, 20), 2, slice(2, 18), slice(2, 18))

    assert not morphology.close_disc(mask, 5.0, (1.0, 1.0, 1.0))[1].any()


def test_largest_component_wins():
    mask = _box((1, 10, 10), 0, slice(0, 2), slice(0, 2)) | _box((1, 10, 10), 0, slice(4, 9), slice(4, 9))

    assert morphology.largest_component(mask).sum() == 25


def test_small_components_are_dropped_by_volume_not_by_count():
    mask = _box((1, 10, 10), 0, slice(0, 2), slice(0, 2))

    assert morphology.drop_small(mask, 0.03, (2.0, 2.0, 2.0)).any()
    assert not morphology.drop_small(mask, 0.03, (1.0, 1.0, 1.0)).any()
