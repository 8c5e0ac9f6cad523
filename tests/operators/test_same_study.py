"""The same study at half and double resolution, turned, stored backwards: each number stays within its tolerance.

Tolerances are those of the model cards: volumes and areas 2 %, or a shell of half a pixel of the grid that was
measured, where that is more; ratios what their parts allow; mean attenuations 2 HU, but not of bone, which hangs on its
surface; diameters half a voxel's diagonal or a pixel's, where that is more. What is measured is held against the
shapes, so that no two resolutions can be wrong alike.
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from benchmarks.lesion_cases import shell_of
from benchmarks.readings import HU, allowed_of, shells_cm2, volume_of
from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.leg_anatomy import LegTissue
from mapnode.phantom.legs import SIDES, TISSUES, LegPhantomParameters, build_leg_phantom, leg_truth
from mapnode.phantom.lesions import Lesion, lesion_mask
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom, trunk_areas_cm2
from operators.core.segmented_regions import Grid, RegionBuilder, SegmentedObject, SegmentedRegions
from operators.measure.measure_diameters import measure_diameters
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_segments import measure_segments
from operators.measure.measure_shapes import measure_shapes
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.segment import LegEngine, TrunkEngine
from tests.builders import ALGORITHM
from tests.builders import TISSUES as SEGMENTS

RESOLUTIONS = st.sampled_from((0.5, 1.0, 2.0))
"""Voxels of half the size, as they are, of double the size, along all three axes."""
FLIPS = st.tuples(st.booleans(), st.booleans(), st.booleans())
THIGH = LegPhantomParameters(
    slices=8, spacing_mm=(5.0, 2.0, 2.0), centre_z_mm=230.0, gap_mm=10.0, field_mm=(480.0, 480.0)
)
ABDOMEN = TrunkPhantomParameters(slices=10, spacing_mm=(5.0, 1.5, 1.5), centre_z_mm=20.0)
HELD = ("body", "bone", "subcutaneous_fat", "visceral_fat", "skeletal_muscle")
"""Segments of the trunk that the card states tolerances of."""
LESION = Lesion((1.3, -0.8, 0.6), (9.0, 14.0, 22.0), (25.0, 40.0, 10.0))
SURFACE = 0.07
"""So far may the surface of an ellipsoid of 10 to 50 mm be off (card of measure_segmentation)."""
GRADIENT = np.array([1.5, -1.0, 0.5])
"""HU a mm along x, y, z: the mean, the median and the SD inside an ellipsoid are known in closed form."""


def stored(hu, affine_lps, flips):
    """A volume as it is stored with some of its axes backwards."""
    axes = [axis for axis in range(3) if flips[axis]]
    affine = affine_lps.copy()
    for axis in axes:
        affine[:3, 3] += affine[:3, axis] * (hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    return volume_of(np.ascontiguousarray(np.flip(hu, axes)), affine)


def scaled(parameters, factor):
    """The same stack with voxels of another size."""
    spacing = tuple(step * factor for step in parameters.spacing_mm)
    return replace(parameters, spacing_mm=spacing, slices=round(parameters.slices / factor))


def measured(engine, volume, flips):
    """Volume and mean HU by segment, and areas by segment in the order of the slices from the feet to the head."""
    label_map = engine.segment(volume, lambda _fraction, _step: None)
    values = {m.segment_name: {v.quantity.name: v.value for v in m.values} for m in measure_segments(volume, label_map)}
    table = measure_slice_areas(volume, label_map)[:: -1 if flips[0] else 1]
    return values, {name: np.array([row.area_cm2[name] for row in table]) for name in values}


def assert_within(values, areas, truth, areas_cm2, shells, thickness_mm):
    """Volumes and areas by segment; `shells` are those by slice in cm2. Returns what was allowed for volumes."""
    allowed = {name: allowed_of(truth[name], float(shells[name].sum()) * thickness_mm / 10) for name in shells}
    for name in shells:
        assert values[name]["volume_ml"] == pytest.approx(truth[name], abs=allowed[name]), name
        limits = [allowed_of(*pair) for pair in zip(areas_cm2[name], shells[name], strict=True)]
        assert np.all(np.abs(areas[name] - areas_cm2[name]) <= limits), name
    return allowed


def assert_ratio(values, truth, allowed, numerator, denominators):
    """A ratio is as wrong as its parts may be."""

    def quotient(volumes):
        return volumes[numerator] / sum(volumes[name] for name in denominators)

    high = truth | {numerator: truth[numerator] + allowed[numerator]}
    low = truth | {numerator: truth[numerator] - allowed[numerator]}
    for name in set(denominators) - {numerator}:
        high[name], low[name] = truth[name] - allowed[name], truth[name] + allowed[name]
    assert quotient(low) <= quotient({name: each["volume_ml"] for name, each in values.items()}) <= quotient(high)


@lru_cache
def true_legs(factor):
    return leg_truth(scaled(THIGH, factor))


@settings(max_examples=8)
@given(factor=RESOLUTIONS, roll_deg=st.floats(-20, 20), flips=FLIPS)
def test_legs_measure_alike(factor, roll_deg, flips):
    parameters = replace(scaled(THIGH, factor), roll_deg=roll_deg)
    phantom, truth = build_leg_phantom(parameters), true_legs(factor)

    values, areas = measured(LegEngine("1"), stored(phantom.hu, phantom.affine_lps, flips), flips)

    values, areas = ({name.removeprefix("leg_"): each for name, each in found.items()} for found in (values, areas))
    shells = {
        f"{name}_{side}": shells_cm2(
            (phantom.truth_labels == LegTissue[name.upper()]) & (phantom.truth_side == direction),
            parameters.spacing_mm[1],
        )
        for name in TISSUES
        for side, direction in SIDES.items()
    }
    volumes = dict(truth.volume_ml)
    allowed = assert_within(values, areas, volumes, truth.area_cm2, shells, parameters.spacing_mm[0])
    for side in SIDES:
        muscle, inside = f"skeletal_muscle_{side}", f"intermuscular_fat_{side}"
        assert_ratio(values, volumes, allowed, inside, (inside, muscle))
        assert_ratio(values, volumes, allowed, muscle, (f"subcutaneous_fat_{side}",))
        for name in TISSUES[1:]:
            key = f"{name}_{side}"
            assert values[key]["mean_hu"] == pytest.approx(truth.mean_hu[key], abs=HU)


def turned(array, degrees, fill):
    """Every slice turned about its middle, by nearest neighbour."""
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    middle = (np.array(array.shape[1:]) - 1) / 2
    return np.stack([
        ndimage.affine_transform(plane, turn, middle - turn @ middle, order=0, cval=fill) for plane in array
    ])


@pytest.mark.parametrize(
    ("factor", "degrees", "flips"),
    [
        (1.0, 0.0, (0, 0, 0)),
        (0.5, 0.0, (1, 0, 1)),
        (2.0, 0.0, (0, 1, 1)),
        (1.0, 8.0, (1, 1, 1)),
        (1.0, -8.0, (0, 0, 0)),
    ],
    ids=["as it is", "double resolution", "half resolution", "turned to the left", "turned to the right"],
)
def test_trunk_measures_alike(factor, degrees, flips):
    parameters = scaled(ABDOMEN, factor)
    phantom = build_trunk_phantom(parameters)
    hu, labels = turned(phantom.hu, degrees, -1000), turned(phantom.truth_labels, degrees, 0)

    values, areas = measured(TrunkEngine("1"), stored(hu, phantom.affine_lps, flips), flips)

    truth = dict(phantom.truth_volume_ml)
    shells = {
        name: shells_cm2(
            labels > 0 if name == "body" else labels == PhantomTissue[name.upper()], parameters.spacing_mm[1]
        )
        for name in HELD
        # The card has it: ribs of 3 mm pixels do not enclose their marrow.
        if (factor, name) != (2.0, "bone")
    }
    true_areas = trunk_areas_cm2(parameters, range(parameters.slices))
    allowed = assert_within(values, areas, truth, true_areas, shells, parameters.spacing_mm[0])
    assert_ratio(values, truth, allowed, "visceral_fat", ("subcutaneous_fat",))
    for name in ("subcutaneous_fat", "visceral_fat", "skeletal_muscle"):
        assert values[name]["mean_hu"] == pytest.approx(phantom.truth_mean_hu[name], abs=HU)


@settings(max_examples=10)
@given(factor=RESOLUTIONS, degrees=st.floats(0, 180), flips=FLIPS)
def test_lesion_measures_alike(factor, degrees, flips):
    alpha, beta, gamma = LESION.rotation_deg
    # Turns about fixed axes, the last about z: the ellipsoid turns in its axial planes.
    lesion = replace(LESION, rotation_deg=(alpha, beta, gamma + degrees))
    grid = make_grid(tuple(step * factor for step in (2.0, 0.8, 0.8)))
    mask = lesion_mask(grid.shape, grid.affine_lps, lesion)
    positions = np.stack(np.indices(grid.shape), axis=-1) @ grid.affine_lps[:3, :3].T + grid.affine_lps[:3, 3]
    volume = stored(np.rint(50 + positions @ GRADIENT).astype(np.int16), grid.affine_lps, flips)
    mask = np.flip(mask, [axis for axis in range(3) if flips[axis]])

    found = measured_region(volume, mask)

    shell_ml = shell_of(lesion, grid.affine_lps)
    assert found["volume_ml"] == pytest.approx(lesion.volume_ml, abs=allowed_of(lesion.volume_ml, shell_ml))
    assert found["components"] == 1
    assert found["surface_cm2"] == pytest.approx(lesion.surface_cm2, rel=SURFACE)
    tolerance_mm = max(np.linalg.norm(grid.spacing_mm) / 2, np.linalg.norm(grid.spacing_mm[1:]))
    assert found["long_axis_mm"] == pytest.approx(lesion.longest_axial_diameter_mm, abs=tolerance_mm)
    assert found["short_axis_mm"] == pytest.approx(lesion.perpendicular_axial_diameter_mm, abs=tolerance_mm)
    middle = 50 + float(np.array(lesion.centre_mm) @ GRADIENT)
    half_range = math.sqrt(GRADIENT @ np.linalg.inv(lesion.form_per_mm2) @ GRADIENT)
    assert (found["mean_hu"], found["median_hu"]) == pytest.approx((middle, middle), abs=HU)
    # The covariance of a uniform ellipsoid is a fifth of its half axes squared.
    assert found["sd_hu"] == pytest.approx(half_range / math.sqrt(5), abs=HU)
    step_hu = float(np.abs(GRADIENT) @ grid.spacing_mm[::-1])
    assert (found["min_hu"], found["max_hu"]) == pytest.approx((middle - half_range, middle + half_range), abs=step_hu)


def make_grid(spacing_mm):
    """A grid around the origin that holds the lesion however it is turned."""
    shape = tuple(2 * math.ceil(24 / step) for step in spacing_mm)
    affine = np.zeros((4, 4))
    for axis, lps in enumerate((2, 1, 0)):
        affine[lps, axis], affine[lps, 3] = spacing_mm[axis], -spacing_mm[axis] * (shape[axis] - 1) / 2
    affine[3, 3] = 1
    return Grid(shape, affine)


def measured_region(volume, mask):
    """All numbers of measure_segmentation for one mask on a volume's grid."""
    builder = RegionBuilder()
    for index, plane in enumerate(mask):
        builder.add(index, plane)
    region = builder.region(SEGMENTS[1], Grid(mask.shape, volume.affine_lps.copy()))
    regions = SegmentedRegions((SegmentedObject(None, "BINARY", (region,)),), region.grid, ALGORITHM)
    (shapes,), (diameters,) = measure_shapes(regions), measure_diameters(regions)
    (intensities,) = measure_intensities(volume, regions)
    return {m.quantity.name: m.value for m in (*shapes.values, *diameters.measured.values, *intensities.values)}
