"""RestoreGrid: labels made on another grid come back voxel by voxel, and nothing is shifted on the way."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st

from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.postprocess.restore_grid import restore_grid
from operators.preprocess.straighten_stack import straighten_stack
from operators.segment.classical.grid import WorkGrid
from tests.builders import ALGORITHM, AXIAL, AXIAL_FEET, CORONAL, OBLIQUE, TISSUES, make_affine

DIRECTIONS = (AXIAL, AXIAL_FEET, CORONAL, OBLIQUE)
SHAPE = (6, 11, 9)
affines = st.builds(make_affine, st.sampled_from(DIRECTIONS), st.tuples(*[st.sampled_from((0.7, 1.0, 2.5))] * 3))


def volume_of(shape, affine_lps, array=None) -> Volume:
    return Volume(np.zeros(shape, np.int16) if array is None else array, affine_lps.copy(), "1.2.3", ())


def labelled(array, affine_lps, landmarks=None) -> LabelMap:
    return LabelMap(np.ascontiguousarray(array), affine_lps.copy(), TISSUES, ALGORITHM, landmarks or {})


def noise(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 5, shape).astype(np.uint8)


def indexed(affine_lps, first=(0, 0, 0), steps=(1, 1, 1)) -> np.ndarray:
    """The grid that begins at an index of another one and goes on in so many of its voxels."""
    found = affine_lps @ np.diag([*steps, 1.0])
    found[:3, 3] = (affine_lps @ (*first, 1))[:3]
    return found


def example(_tmp_path):
    affine = make_affine()
    return None, {
        "volume": volume_of((4, 6, 6), affine),
        "work_labels": labelled(noise((4, 3, 3)), indexed(affine, (0, 0.5, 0.5), (1, 2, 2)), {"iliac_crest": 2}),
    }


@given(affines)
def test_labels_on_the_sources_grid_stay_as_they_are(affine):
    labels = labelled(noise(SHAPE), affine)

    assert restore_grid(volume_of(SHAPE, affine), labels) is labels


@given(affines, st.permutations(range(3)), st.lists(st.integers(0, 2), max_size=3, unique=True))
def test_turned_and_flipped_labels_come_back_exactly(affine, order, flips):
    array, turned = noise(SHAPE), affine.copy()
    for axis in flips:
        turned[:3, 3] += turned[:3, axis] * (SHAPE[axis] - 1)
        turned[:3, axis] *= -1
    turned[:3, :3] = turned[:3, list(order)]

    back = restore_grid(volume_of(SHAPE, affine), labelled(np.flip(array, flips).transpose(order), turned))

    assert np.array_equal(back.array, array)
    assert np.array_equal(back.affine_lps, affine)


@given(affines, st.tuples(*[st.integers(1, 4)] * 3))
def test_voxels_of_a_block_have_its_label(affine, factors):
    grid = WorkGrid.of(SHAPE, (1, 1, 1), 1)
    grid = WorkGrid(factors, grid.shape, grid.spacing_mm)
    blocks = noise(grid.reduce(np.zeros(SHAPE)).shape)
    coarse = indexed(affine, [(factor - 1) / 2 for factor in factors], factors)

    back = restore_grid(volume_of(SHAPE, affine), labelled(blocks, coarse)).array

    for index in np.ndindex(*SHAPE):
        assert back[index] == blocks[tuple(np.floor_divide(index, factors))]


@given(affines, st.tuples(*[st.integers(1, 3)] * 3))
def test_labels_of_a_finer_grid_come_back_exactly(affine, factors):
    array = noise(SHAPE)
    fine = array
    for axis, factor in enumerate(factors):
        fine = fine.repeat(factor, axis)
    first = [(1 / factor - 1) / 2 for factor in factors]

    back = restore_grid(volume_of(SHAPE, affine), labelled(fine, indexed(affine, first, [1 / f for f in factors])))

    assert np.array_equal(back.array, array)


def test_what_lies_outside_the_other_grid_has_no_label():
    affine = make_affine()
    cut = noise((2, 4, 5)) + 1

    back = restore_grid(volume_of(SHAPE, affine), labelled(cut, indexed(affine, (1, 3, 2)))).array

    expected = np.zeros(SHAPE, np.uint8)
    expected[1:3, 3:7, 2:7] = cut
    assert np.array_equal(back, expected)


whole = st.tuples(st.integers(-3, 3), st.integers(-3, 3))
any_shift = st.tuples(st.floats(-3, 3), st.floats(-3, 3))


def tilted(affine, shift) -> np.ndarray:
    found = affine.copy()
    found[:3, 0] += affine[:3, 1:3] @ shift
    return found


@given(whole)
def test_a_stack_straightened_by_whole_pixels_comes_back_exactly(shift):
    array, source = noise(SHAPE), tilted(make_affine(AXIAL, (5.0, 1.0, 1.0)), shift)
    straight = straighten_stack(volume_of(SHAPE, source, array.astype(np.int16)), 0)

    back = restore_grid(volume_of(SHAPE, source), labelled(straight.array.astype(np.uint8), straight.affine_lps))

    assert np.array_equal(back.array, array)


@given(any_shift)
def test_a_voxel_of_a_tilted_stack_has_the_label_nearest_to_it_in_its_own_plane(shift):
    source = tilted(make_affine(AXIAL, (5.0, 1.0, 1.0)), shift)
    straight = straighten_stack(volume_of(SHAPE, source))
    # Each voxel of the straight grid has a number of its own, in three maps of one byte each.
    numbers = np.arange(straight.array.size).reshape(straight.array.shape)
    maps = [labelled((numbers >> bits & 255).astype(np.uint8), straight.affine_lps) for bits in (0, 8, 16)]

    low, middle, high = (restore_grid(volume_of(SHAPE, source), one).array.astype(int) for one in maps)

    found = np.stack(np.unravel_index(low | middle << 8 | high << 16, straight.array.shape), axis=-1)
    voxels = np.stack(np.indices(SHAPE), axis=-1)
    assert np.array_equal(found[..., 0], voxels[..., 0])
    places = found @ straight.affine_lps[:3, :3].T + straight.affine_lps[:3, 3]
    true = voxels @ source[:3, :3].T + source[:3, 3]
    assert np.abs(places - true)[..., :2].max() <= 0.5 + 1e-4


def as_image(array, affine_lps):
    image = SimpleITK.GetImageFromArray(array)
    spacing = np.linalg.norm(affine_lps[:3, :3], axis=0)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetDirection((affine_lps[:3, :3] / spacing)[:, ::-1].ravel().tolist())
    image.SetOrigin(affine_lps[:3, 3].tolist())
    return image


def test_turned_grid_gives_what_simpleitk_gives():
    source, work = make_affine(OBLIQUE, (2.0, 0.9, 0.7)), make_affine(AXIAL, (1.7, 1.1, 1.3))
    work[:3, 3] = source[:3, 3] + (0.1312, -0.2371, 0.3713)
    array = noise((12, 14, 16)) + 1

    back = restore_grid(volume_of(SHAPE, source), labelled(array, work)).array

    judged = SimpleITK.Resample(
        as_image(array, work), as_image(np.zeros(SHAPE, np.uint8), source), SimpleITK.Transform(),
        SimpleITK.sitkNearestNeighbor, 0,
    )  # fmt: skip
    assert np.count_nonzero(back)
    assert np.array_equal(back, SimpleITK.GetArrayViewFromImage(judged))


def test_landmark_keeps_its_place_in_the_patient():
    affine = make_affine()
    flipped = indexed(affine, (5, 0, 0), (-2, 1, 1))

    back = restore_grid(volume_of(SHAPE, affine), labelled(noise((3, 11, 9)) + 1, flipped, {"a": 0, "b": 1, "c": 2}))

    assert back.landmarks == {"a": 5, "b": 3, "c": 1}


def test_landmark_in_slices_that_cross_the_sources_is_refused():
    labels = labelled(noise((6, 6, 6)) + 1, make_affine(CORONAL), {"iliac_crest": 2})

    with pytest.raises(GeometryError, match="not parallel"):
        restore_grid(volume_of((6, 6, 6), make_affine()), labels)


def test_labels_of_another_place_are_refused():
    elsewhere = make_affine()
    elsewhere[:3, 3] += 500

    with pytest.raises(GeometryError, match="another place"):
        restore_grid(volume_of(SHAPE, make_affine()), labelled(noise(SHAPE) + 1, elsewhere))


def test_labels_on_a_flat_grid_are_refused():
    flat = make_affine()
    flat[:3, 0] = 0

    with pytest.raises(GeometryError, match="without extent"):
        restore_grid(volume_of(SHAPE, make_affine()), labelled(noise(SHAPE), flat))


def test_nothing_found_comes_back_as_nothing():
    back = restore_grid(volume_of(SHAPE, make_affine()), labelled(np.zeros((3, 5, 4), np.uint8), make_affine()))

    assert back.shape == SHAPE
    assert not back.array.any()
