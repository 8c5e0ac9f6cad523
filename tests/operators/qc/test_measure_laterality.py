"""MeasureLaterality: something at a known place in bodies stored in any order, and bodies whose middle is not known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.readings import volume_of
from operators.core import codes
from operators.core.segmented_regions import RegionBuilder, SegmentedObject, SegmentedRegions
from operators.measure.intensities import grid_of
from operators.qc.measure_laterality import measure_laterality
from tests.builders import ALGORITHM, TISSUES
from tests.operators.qc.bodies import make_body, make_legs
from tests.segmented import make_study, read

AT = np.array([62.0, -15.0, 5.0])
"""LPS, mm from the middle of the body: where the left kidney is."""


def example(tmp_path):
    volume, regions = read(make_study(tmp_path))
    return None, {"volume": volume, "label_map": regions}


def regions_of(volume, mask):
    builder = RegionBuilder()
    for index, plane in enumerate(mask):
        builder.add(index, plane)
    region = builder.region(TISSUES[1], grid_of(volume))
    return SegmentedRegions((SegmentedObject(None, "BINARY", (region,)),), region.grid, ALGORITHM)


def positions_of(volume):
    """LPS of every voxel, mm from the middle of the images, `(slices, rows, columns, 3)`."""
    middle = volume.affine_lps[:3, :3] @ (np.array(volume.array.shape) - 1) / 2
    return np.stack(np.indices(volume.array.shape), axis=-1) @ volume.affine_lps[:3, :3].T - middle


def ball(volume, at, radius_mm=14.0):
    return np.linalg.norm(positions_of(volume) - at, axis=-1) <= radius_mm


def body(**options):
    built = make_body(**options)
    return volume_of(built.array, built.affine_lps)


def found(volume, mask):
    (one,) = measure_laterality(volume, regions_of(volume, mask))
    return one


@pytest.mark.parametrize(("x_mm", "side"), [(62, codes.LEFT), (-62, codes.RIGHT), (20, codes.LEFT)])
def test_a_segment_is_of_the_side_on_which_it_lies(x_mm, side):
    volume = body()

    one = found(volume, ball(volume, (x_mm, -15.0, 5.0)))

    assert one.side == side
    assert one.value == pytest.approx(x_mm, abs=2.5)
    assert f"{side.meaning.lower()} of the body's middle (no side stated)" in one.label


@settings(max_examples=12)
@given(flips=st.tuples(*[st.booleans()] * 3), turn_deg=st.floats(-15, 15), left=st.booleans(), shift=st.integers(-8, 8))
def test_storage_order_turns_and_place_on_the_table_do_not_change_the_side(flips, turn_deg, left, shift):
    built = make_body()
    hu = np.roll(built.array, shift, axis=2)
    affine = built.affine_lps.copy()
    cos, sin = math.cos(math.radians(turn_deg)), math.sin(math.radians(turn_deg))
    affine[:2, :3] = np.array([[cos, -sin], [sin, cos]]) @ affine[:2, :3]
    at = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ (AT * [1 if left else -1, 1, 1])
    mask = np.roll(ball(volume_of(built.array, affine), at), shift, axis=2)
    axes = [axis for axis in range(3) if flips[axis]]
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
        affine[:3, axis] *= -1

    one = found(volume_of(np.ascontiguousarray(np.flip(hu, axes)), affine), np.flip(mask, axes))

    assert one.side == (codes.LEFT if left else codes.RIGHT)


@pytest.mark.parametrize("places", [[(0.0, 50.0, 0.0)], [tuple(AT), tuple(AT * [-1, 1, 1])]], ids=["middle", "both"])
def test_what_lies_in_the_middle_or_on_both_sides_has_no_side(places):
    volume = body()

    one = found(volume, np.logical_or.reduce([ball(volume, at) for at in places]))

    assert one.side is None
    assert one.value == pytest.approx(0, abs=2.5)


def test_the_left_of_two_legs_is_left():
    built = make_legs()
    volume = volume_of(built.array, built.affine_lps)

    assert found(volume, ball(volume, (90.0, 0.0, 0.0), 30.0)).side == codes.LEFT


def cut_off():
    built = make_body()
    return volume_of(built.array[:, :, 30:].copy(), built.affine_lps)


def with_an_arm():
    built = make_body()
    hu = built.array
    wide = volume_of(np.pad(hu, ((0, 0), (0, 0), (30, 30)), constant_values=-1000), built.affine_lps)
    arm = np.linalg.norm(positions_of(wide)[..., :2] - (178, 0), axis=-1) <= 40
    return volume_of(np.where(arm, np.int16(45), wide.array), wide.affine_lps)


def air():
    built = make_body()
    return volume_of(np.full_like(built.array, -1000), built.affine_lps)


def of_modality(modality):
    volume = body()
    for source in volume.slices:
        source.header.Modality = modality
    return volume


def sagittal():
    built = make_body(slices=40)
    hu, affine = built.array.transpose(2, 0, 1), built.affine_lps[:, [2, 0, 1, 3]]
    return volume_of(np.ascontiguousarray(hu), affine)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (cut_off, "cuts the body off"),
        (with_an_arm, "outline and bones do not agree"),
        (lambda: body(half_mm=(95.0, 80.0), liver_x_mm=None), "narrower than a trunk"),
        (air, "no body was found"),
        (lambda: of_modality("MR"), "in CT in Hounsfield units alone"),
        (sagittal, "not axial"),
    ],
    ids=["cut", "arm", "head", "air", "MR", "sagittal"],
)
def test_where_the_middle_is_not_known_no_side_is_computed_and_the_reason_given(make, why):
    volume = make()

    one = found(volume, ball(volume, AT))

    assert one.side is None
    assert one.value is None
    assert why in one.reason


def test_an_empty_segment_has_no_side():
    volume = body()

    assert found(volume, np.zeros(volume.array.shape, bool)).reason == "it has no voxel in the images"
