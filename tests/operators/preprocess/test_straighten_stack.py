"""StraightenStack: phantoms known by formula, exact whole shifts, and SimpleITK as judge of a real tilted stack."""

import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from operators.core.errors import GeometryError
from operators.core.volume import SourceSlice, Volume
from operators.preprocess.straighten_stack import Shear, StraightenStackParameters, straighten_stack
from tests.builders import AXIAL, AXIAL_FEET, AXIAL_TURNED, CORONAL, OBLIQUE, SAGITTAL, make_affine

AGAINST_NORMAL = ((0, 0, -1), (0, 1, 0), (1, 0, 0))
"""Slices ordered against the normal of their planes."""
DIRECTIONS = (AXIAL, AXIAL_FEET, AXIAL_TURNED, CORONAL, SAGITTAL, OBLIQUE, AGAINST_NORMAL)
SHIFTS = [(0.37, 0.0), (0.0, 0.37), (-2.89, 0.0), (0.0, -2.89), (1.25, 0.6), (-1.25, 0.6), (1.25, -0.6), (-0.5, -0.5)]
"""Rows and columns from slice to slice."""


def sheared(shift, directions=AXIAL, spacing_mm=(3.0, 0.8, 0.6)) -> np.ndarray:
    """`(4, 4)`: a grid whose slices are shifted against each other by so many rows and columns."""
    affine = make_affine(directions, spacing_mm)
    affine[:3, 0] += affine[:3, 1:3] @ shift
    return affine


def make_stack(array, affine_lps, padding=None) -> Volume:
    return Volume(
        array=np.array(array),
        affine_lps=affine_lps.copy(),
        frame_of_reference_uid="1.2.3",
        slices=tuple(SourceSlice(Path(f"ct_{i}.dcm"), Dataset(), f"{i:064x}") for i in range(len(array))),
        padding=None if padding is None else np.array(padding),
    )


def positions(affine_lps, shape) -> np.ndarray:
    """`(slices, rows, columns, 3)`: mm in LPS of every voxel."""
    indices = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return indices @ affine_lps[:3, :3].T + affine_lps[:3, 3]


def sampled(phantom, affine_lps, shape, dtype=np.float64) -> np.ndarray:
    return phantom(positions(affine_lps, shape)).astype(dtype)


def ramp(points):
    """A plane in space: 3 HU in each mm to the left, -2 to the back, 5 to the head."""
    return points @ np.array([3.0, -2.0, 5.0]) + 40


def noise(shape, dtype=np.int16, seed=1):
    values = np.random.default_rng(seed).integers(-1000, 3000, shape)
    return values.astype(dtype) if np.issubdtype(dtype, np.integer) else (values / 7).astype(dtype)


def example(_tmp_path):
    return StraightenStackParameters(), {"volume": make_stack(noise((4, 6, 5)), sheared((1.25, -0.6)))}


# Phantoms


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_linear_ramp_is_reproduced(shift, directions):
    affine = sheared(shift, directions)
    source = make_stack(sampled(ramp, affine, (7, 9, 8), np.float32), affine)

    straight = straighten_stack(source)

    expected = sampled(ramp, straight.affine_lps, straight.array.shape)
    known = ~straight.padding
    assert known.sum() >= 7 * 8 * 7
    assert straight.array[known] == pytest.approx(expected[known], abs=1e-3)


@pytest.mark.parametrize("shift", SHIFTS)
def test_smooth_ellipsoid_is_that_of_the_straight_grid(shift):
    affine = sheared(shift, OBLIQUE)
    shape, height, widths = (9, 40, 50), 1000.0, np.array([6.0, 5.0, 8.0])
    centre = affine[:3, :3] @ (4, 20, 25) + affine[:3, 3]

    def blob(points):
        return height * np.exp(-(((points - centre) / widths) ** 2).sum(axis=-1) / 2)

    straight = straighten_stack(make_stack(sampled(blob, affine, shape), affine))

    # Linear interpolation over a step h errs by at most h^2 / 8 times the second derivative, here height / width^2.
    bound = (0.8**2 + 0.6**2) / 8 * height / widths.min() ** 2
    away = np.abs(straight.array - sampled(blob, straight.affine_lps, straight.array.shape))[~straight.padding]
    assert away.max() <= bound
    assert straight.array.max() > height - 2 * bound


@pytest.mark.parametrize("tilt_deg", [-25, -10, 10, 25])
def test_volume_of_a_sphere_is_kept_within_one_percent(tilt_deg):
    radius_mm, spacing_mm = 15.0, (1.5, 0.7, 0.7)
    affine = sheared((spacing_mm[0] * math.tan(math.radians(tilt_deg)) / 0.7, 0), AXIAL, spacing_mm)
    shape = (31, 80, 60)
    centre = affine[:3, :3] @ (15.2, 40.3, 30.4) + affine[:3, 3]
    ball = np.where(np.linalg.norm(positions(affine, shape) - centre, axis=-1) <= radius_mm, 1000, 0)

    straight = straighten_stack(make_stack(ball.astype(np.int16), affine))

    volume_mm3 = np.count_nonzero(straight.array > 500) * straight.voxel_volume_mm3
    assert volume_mm3 == pytest.approx(4 / 3 * math.pi * radius_mm**3, rel=0.01)


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("shift", [*SHIFTS, (1, 0), (-2, 3)])
def test_a_point_stays_where_it_is_in_the_patient(shift, directions):
    affine = sheared(shift, directions)
    array = np.zeros((6, 12, 11))
    array[4, 5, 6] = 100
    source = make_stack(array, affine)

    straight = straighten_stack(source, fill=0)

    # Linear interpolation spreads a point over its neighbours and keeps its sum and its centre.
    weights = straight.array / straight.array.sum()
    centre = (weights[..., None] * positions(straight.affine_lps, weights.shape)).sum(axis=(0, 1, 2))
    assert straight.array.sum() == pytest.approx(100)
    assert centre == pytest.approx((affine @ (4, 5, 6, 1))[:3], abs=1e-9)


# The grid


@pytest.mark.parametrize("directions", DIRECTIONS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_planes_and_spacing_stay_and_the_step_runs_along_the_normal(shift, directions):
    affine = sheared(shift, directions)

    straight = straighten_stack(make_stack(noise((5, 6, 7)), affine))

    grid = straight.affine_lps[:3, :3]
    assert np.array_equal(grid[:, 1:], affine[:3, 1:3])
    assert np.abs(grid[:, 0] @ grid[:, 1:]) == pytest.approx([0, 0], abs=1e-9)
    assert straight.spacing_mm == pytest.approx((3.0, 0.8, 0.6))
    assert straight.voxel_volume_mm3 == pytest.approx(3.0 * 0.8 * 0.6)
    normal = np.cross(grid[:, 2], grid[:, 1])
    for index in range(5):
        between = np.subtract(straight.position_lps(index), (affine @ (index, 0, 0, 1))[:3])
        assert between @ normal == pytest.approx(0, abs=1e-9)


shifts = st.tuples(*[st.one_of(st.floats(-2.4, 2.4), st.integers(-2, 2).map(float))] * 2)


@given(shifts, st.sampled_from(DIRECTIONS), st.integers(2, 7))
def test_every_source_voxel_lies_inside_and_the_grid_is_no_larger_than_it_has_to_be(shift, directions, slices):
    source = make_stack(noise((slices, 5, 4)), sheared(shift, directions))

    straight = straighten_stack(source)

    corners = np.array([source.affine_lps @ (s, r, c, 1) for s, r, c in product(range(slices), (0, 4), (0, 3))])
    inside = np.linalg.solve(straight.affine_lps, corners.T)[:3].T
    last = np.array(straight.array.shape) - 1
    assert (inside >= -1e-5).all()
    assert (inside <= last + 1e-5).all()
    assert (inside.min(axis=0) < 1).all()
    assert (inside.max(axis=0) > last - 1).all()


@given(shifts, st.sampled_from(DIRECTIONS))
def test_any_shear_reproduces_a_ramp(shift, directions):
    affine = sheared(shift, directions)

    straight = straighten_stack(make_stack(sampled(ramp, affine, (4, 6, 5)), affine))

    known = slice(None) if straight.padding is None else ~straight.padding
    expected = sampled(ramp, straight.affine_lps, straight.array.shape)
    assert straight.array[known] == pytest.approx(expected[known], abs=1e-3)


@given(shifts, st.integers(0, 2**32 - 1))
def test_interpolation_stays_between_the_values_of_its_slice(shift, seed):
    source = make_stack(noise((3, 5, 6), seed=seed), sheared(shift))

    straight = straighten_stack(source)

    known = np.ones(straight.array.shape, bool) if straight.padding is None else ~straight.padding
    for plane, result, inside in zip(source.array, straight.array, known, strict=True):
        assert plane.min() <= result[inside].min() <= result[inside].max() <= plane.max()


# Whole pixels


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE, AGAINST_NORMAL])
@pytest.mark.parametrize("shift", [(2, 0), (-2, 0), (0, 3), (0, -3), (1, -1), (-1, 2)])
def test_shifts_by_whole_pixels_keep_every_bit(shift, directions, dtype):
    array = noise((4, 6, 5), dtype)

    straight = straighten_stack(make_stack(array, sheared(shift, directions)), fill=-2000)

    rows, columns = shift
    assert straight.array.dtype == dtype
    assert straight.array.shape == (4, 6 + 3 * abs(rows), 5 + 3 * abs(columns))
    for index in range(4):
        row = index * rows if rows >= 0 else (3 - index) * -rows
        column = index * columns if columns >= 0 else (3 - index) * -columns
        block = np.s_[row : row + 6, column : column + 5]
        assert straight.array[index][block].tobytes() == array[index].tobytes()
        assert not straight.padding[index][block].any()
        assert straight.padding[index].sum() == straight.padding[index].size - 30
    assert (straight.array[straight.padding] == -2000).all()


def test_first_slice_is_never_interpolated():
    array = noise((4, 6, 5))

    straight = straighten_stack(make_stack(array, sheared((-1.3, 0.45))))

    assert straight.array[0][~straight.padding[0]].tobytes() == array[0].tobytes()


def test_whole_numbers_are_rounded_to_the_nearest():
    affine = sheared((0.37, -0.81))
    array = noise((4, 9, 9))

    whole = straighten_stack(make_stack(array, affine))
    exact = straighten_stack(make_stack(array.astype(np.float64), affine))

    assert whole.array.dtype == np.int16
    assert np.abs(whole.array - exact.array).max() <= 0.5
    assert (exact.array % 1 != 0).any()


# Padding


def test_voxels_outside_the_source_hold_its_smallest_value_and_are_padding():
    array = noise((4, 6, 5))

    straight = straighten_stack(make_stack(array, sheared((1.25, 0))))

    assert (straight.array[straight.padding] == array.min()).all()
    # A slice between two pixels loses the row that it has only half of: 6 rows, or 5 where the shift is a fraction.
    assert [(~plane).sum() for plane in straight.padding] == [30, 25, 25, 25]


def test_padding_moves_with_its_slice_and_what_touches_it_is_padding():
    padding = np.zeros((3, 6, 5), bool)
    padding[:, 2, 2] = True
    array = np.where(padding, -2000, noise((3, 6, 5)))

    straight = straighten_stack(make_stack(array.astype(np.int16), sheared((0.5, 0)), padding), fill=-1000)

    # Slice 0 is not interpolated, slice 1 lies half a row lower: two voxels touch; slice 2 a whole row.
    inside = [straight.padding[0, 0:6], straight.padding[1, 1:6], straight.padding[2, 1:7]]
    found = [np.argwhere(plane).tolist() for plane in inside]
    assert found == [[[2, 2]], [[1, 2], [2, 2]], [[2, 2]]]
    assert (straight.array[straight.padding] == -1000).all()
    assert (straight.array[~straight.padding] > -1000 - 1).all()


@pytest.mark.parametrize("fill", [-1024.5, 40000.0])
def test_fill_value_that_voxels_cannot_hold_is_refused(fill):
    with pytest.raises(GeometryError, match="choose a whole number between -32768 and 32767"):
        straighten_stack(make_stack(noise((3, 4, 4)), sheared((1, 0))), fill)


@pytest.mark.parametrize("fill", [math.nan, math.inf])
def test_fill_value_has_to_be_finite(fill):
    with pytest.raises(ValueError, match="finite"):
        StraightenStackParameters(fill)


# What is left as it is, and what is refused


@pytest.mark.parametrize(
    ("shift", "slices"),
    [
        ((0, 0), 12),
        # 0.19 degrees at 3 mm: 0.00995 mm, 0.0124 rows a slice, 0.14 in all.
        ((3 * math.tan(math.radians(0.19)) / 0.8, 0), 12),
        # 0.49 columns of 0.6 mm over 29 steps of 3 mm: 0.194 degrees.
        ((0, 0.49 / 29), 30),
    ],
)
def test_straight_stack_is_returned_as_it_is(shift, slices):
    volume = make_stack(noise((slices, 6, 5)), sheared(shift))

    assert straighten_stack(volume) is volume


@pytest.mark.parametrize(
    ("shift", "slices"),
    [
        # 0.21 degrees, and only 0.014 rows in all.
        ((3 * math.tan(math.radians(0.21)) / 0.8, 0), 2),
        # 0.19 degrees, and half a row in all.
        ((3 * math.tan(math.radians(0.19)) / 0.8, 0), 42),
    ],
)
def test_stack_beyond_either_limit_is_straightened(shift, slices):
    volume = make_stack(noise((slices, 6, 5)), sheared(shift))

    straight = straighten_stack(volume)

    assert straight is not volume
    assert Shear.of(straight.affine_lps).angle_deg == pytest.approx(0, abs=1e-6)


def test_straightened_stack_is_straight():
    straight = straighten_stack(make_stack(noise((5, 6, 7)), sheared((1.3, -0.7), OBLIQUE)))

    assert straighten_stack(straight) is straight


def test_single_slice_is_returned_as_it_is():
    volume = make_stack(noise((1, 6, 5)), sheared((2, 0)))

    assert straighten_stack(volume) is volume


def test_sources_stay_those_of_the_planes_and_the_input_is_not_touched():
    volume = make_stack(noise((4, 6, 5)), sheared((1.25, -0.6)))
    array, affine = volume.array.copy(), volume.affine_lps.copy()

    straight = straighten_stack(volume)

    assert straight.slices == volume.slices
    assert straight.frame_of_reference_uid == volume.frame_of_reference_uid
    assert np.array_equal(volume.array, array)
    assert np.array_equal(volume.affine_lps, affine)


def test_shear_of_no_gantry_is_refused():
    with pytest.raises(GeometryError, match=r"sheared by 50\.0 degrees"):
        straighten_stack(make_stack(noise((3, 4, 4)), sheared((3 * math.tan(math.radians(50)) / 0.8, 0))))


def test_slices_in_one_plane_are_refused():
    affine = make_affine()
    affine[:3, 0] = affine[:3, 1]

    with pytest.raises(GeometryError, match=r"sheared by 90\.0 degrees"):
        straighten_stack(make_stack(noise((3, 4, 4)), affine))


def test_rows_that_are_not_square_to_columns_are_refused():
    affine = sheared((1, 0))
    affine[:3, 1] += 0.1 * affine[:3, 2]

    with pytest.raises(GeometryError, match="not square"):
        straighten_stack(make_stack(noise((3, 4, 4)), affine))


def test_progress_is_told_slice_by_slice():
    told = []

    straighten_stack(make_stack(noise((3, 6, 5)), sheared((1, 0))), None, lambda *args: told.append(args))

    assert told == [(1, 3), (2, 3), (3, 3)]


# A real tilted gantry


def read_tilted(folder: Path) -> tuple[Volume, list[Path]]:
    """The stack as its headers say it, and its files in the order of the slices."""
    paths = sorted(folder.glob("*.dcm"), key=lambda path: float(dcmread(path).ImagePositionPatient[2]))
    datasets = [dcmread(path) for path in paths]
    first, last = (np.array(ds.ImagePositionPatient, float) for ds in (datasets[0], datasets[-1]))
    orientation = np.array(datasets[0].ImageOrientationPatient, float)
    between_rows, between_columns = map(float, datasets[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = (last - first) / (len(datasets) - 1)
    affine[:3, 1] = orientation[3:] * between_rows
    affine[:3, 2] = orientation[:3] * between_columns
    affine[:3, 3] = first
    array = [ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in datasets]
    return make_stack(np.array(array, dtype=np.int16), affine), paths


def resampled_by_simpleitk(path: Path, grid: Volume, index: int) -> np.ndarray:
    """`(rows, columns)`: the image of a file, as SimpleITK reads and places it, in one plane of a grid."""
    image = SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat64)
    axes = grid.affine_lps[:3, 2::-1] / np.linalg.norm(grid.affine_lps[:3, 2::-1], axis=0)
    _, rows, columns = grid.array.shape
    plane = SimpleITK.Image(columns, rows, 1, SimpleITK.sitkFloat64)
    plane.SetOrigin(grid.position_lps(index))
    plane.SetSpacing(grid.spacing_mm[::-1])
    plane.SetDirection(axes.ravel().tolist())
    moved = SimpleITK.Resample(image, plane, SimpleITK.Transform(), SimpleITK.sitkLinear, math.nan)
    return SimpleITK.GetArrayFromImage(moved)[0]


def test_real_tilted_stack_equals_that_of_simpleitk(shared_data):
    volume, paths = read_tilted(shared_data / "odd_gantry_tilt_no_attribute")

    straight = straighten_stack(volume)

    # dcm2niix straightens the same stack to 512 x 521 too.
    assert straight.array.shape == (4, 521, 512)
    for index, path in enumerate(paths):
        known = ~straight.padding[index]
        expected = resampled_by_simpleitk(path, straight, index)
        assert known.sum() >= 511 * 512
        assert np.abs(straight.array[index][known] - expected[known]).max() <= 0.5 + 1e-3
