import numpy as np
import pytest
from scipy import ndimage

from operators.segment.classical.grid import WorkGrid, signed_distance


@pytest.mark.parametrize(
    ("spacing_mm", "factors"),
    [((3.0, 3.0, 3.0), (1, 1, 1)), ((1.0, 0.7, 0.9), (3, 4, 3)), ((5.0, 2.0, 2.0), (1, 1, 1))],
)
def test_blocks_are_the_largest_up_to_the_target(spacing_mm, factors):
    assert WorkGrid.of((9, 9, 9), spacing_mm, 3.0).factors == factors


def test_blocks_keep_the_mean_also_where_the_border_cuts_them():
    volume = np.random.default_rng(1).normal(size=(5, 7, 8)).astype(np.float32)

    reduced = WorkGrid.of(volume.shape, (1.0, 1.0, 1.0), 2.0).reduce(volume)

    assert reduced.shape == (3, 4, 4)
    assert reduced[2, 3, 0] == pytest.approx(volume[4, 6, 0:2].mean(), abs=1e-6)


def test_a_plane_comes_back_where_it_was():
    source = np.broadcast_to(np.arange(12.0, dtype=np.float32), (4, 6, 12)).copy()
    grid = WorkGrid.of(source.shape, (1.0, 1.0, 1.0), 3.0)

    back = grid.restore(grid.reduce(source), 2)

    np.testing.assert_allclose(back[:, 1:11], source[2][:, 1:11], atol=1e-5)


@pytest.mark.parametrize("spacing_mm", [(2.5, 0.8, 0.8), (1.0, 1.1, 1.9), (1.0, 4.0, 1.5)])
def test_a_field_is_interpolated_as_scipy_does(spacing_mm):
    grid = WorkGrid.of((9, 57, 70), spacing_mm, 4.0)
    blocks = [-(-size // factor) for size, factor in zip(grid.shape, grid.factors, strict=True)]
    field = np.random.default_rng(2).normal(scale=40, size=blocks).astype(np.float32)
    step = 1 / np.array(grid.factors)

    whole = ndimage.affine_transform(
        field.astype(np.float64), step, step / 2 - 0.5, output_shape=grid.shape, order=1, mode="nearest"
    )

    for index, plane in enumerate(whole):
        np.testing.assert_allclose(grid.restore(field, index), plane, rtol=0, atol=1e-4)


def test_signed_distance_changes_sign_half_a_voxel_from_the_centres():
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[:, :, 4:] = True

    field = signed_distance(mask, (2.0, 2.0, 2.0))

    assert field[1, 4, 4] == 1.0
    assert field[1, 4, 3] == -1.0


@pytest.mark.parametrize("value", [True, False])
def test_a_field_without_surface_is_far_from_it(value):
    field = signed_distance(np.full((2, 3, 4), value), (1.0, 1.0, 1.0))

    assert (field > 4).all() if value else (field < -4).all()
