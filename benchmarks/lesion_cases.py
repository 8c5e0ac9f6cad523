"""Lesion cases: random ellipsoids, clean and degraded, and what measure_segmentation's operators measure on them.

The mask is that of the voxels whose centres lie in the ellipsoid: what is judged are the measurements, not a reader.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.readings import HU, SHARE, Reading, allowed_of, volume_of
from mapnode.phantom.degrade import add_noise, blur, thicken, tilt_gantry
from mapnode.phantom.lesions import Lesion, add_lesions, lesion_mask, random_lesion
from operators.core.segmented_regions import RegionBuilder, SegmentedObject, SegmentedRegions
from operators.measure.intensities import grid_of
from operators.measure.measure_diameters import measure_diameters
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_shapes import measure_shapes
from tests.builders import ALGORITHM, TISSUES

if TYPE_CHECKING:
    from operators.core.volume import Volume

THICKNESSES_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
PIXEL_MM = (0.5, 1.2)
HALF_FIELD_MM = (42.0, 36.0, 36.0)
FAT_HU = -100
LESION_HU = (0.0, 120.0)
Image = tuple[NDArray[np.int16], NDArray[np.float64]]
Stated = tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]
"""HU, the affine that the header states, and the true one."""


def clean_readings(seed: int) -> list[Reading]:
    """All readings of one random ellipsoid."""
    lesion, (hu, affine) = random_case(seed)
    return _readings(lesion, (hu, affine, affine))


def degraded_readings(seed: int) -> Iterator[tuple[str, list[Reading]]]:
    """All readings of one random ellipsoid, once for each way to degrade it."""
    lesion, image = random_case(seed)
    for name, degrade in degradations(seed).items():
        yield name, _readings(lesion, degrade(*image))


def random_case(seed: int) -> tuple[Lesion, Image]:
    """Draw an ellipsoid of 10 to 50 mm in fat and a grid; its thickness goes round with the seed."""
    rng = np.random.default_rng(seed)
    thickness, pixel = THICKNESSES_MM[seed % len(THICKNESSES_MM)], float(rng.uniform(*PIXEL_MM))
    lesion = random_lesion(rng, (0.0, 0.0, 0.0), value=round(float(rng.uniform(*LESION_HU))))
    affine = np.zeros((4, 4))
    shape = []
    for axis, (lps, step, half) in enumerate(zip((2, 1, 0), (thickness, pixel, pixel), HALF_FIELD_MM, strict=True)):
        shape.append(math.ceil(2 * half / step))
        affine[lps, axis], affine[lps, 3] = step, -step * (shape[axis] - 1) / 2
    affine[3, 3] = 1
    return lesion, (add_lesions(np.full(shape, FAT_HU, dtype=np.int16), affine, [lesion]), affine)


def degradations(seed: int) -> dict[str, Callable[[NDArray[np.int16], NDArray[np.float64]], Stated]]:
    """What is done to an image, by name."""

    def noise(hu: NDArray[np.int16], affine: NDArray[np.float64], sd_hu: float) -> Stated:
        return add_noise(hu, sd_hu, seed), affine, affine

    def blurred(hu: NDArray[np.int16], affine: NDArray[np.float64], fwhm_mm: float) -> Stated:
        return blur(hu, _spacing_mm(affine), fwhm_mm), affine, affine

    def thick(hu: NDArray[np.int16], affine: NDArray[np.float64]) -> Stated:
        values, lies = thicken(hu, affine, 2)
        return values, lies, lies

    def tilted(hu: NDArray[np.int16], affine: NDArray[np.float64], degrees: float, *, marked: bool) -> Stated:
        values, lies = tilt_gantry(hu, affine, degrees)
        return values, lies if marked else affine, lies

    return {
        "none": lambda hu, affine: (hu, affine, affine),
        **{f"noise of {sd} HU": functools.partial(noise, sd_hu=sd) for sd in (10, 20, 40)},
        **{f"blur of {fwhm} mm FWHM": functools.partial(blurred, fwhm_mm=fwhm) for fwhm in (1.5, 3, 6)},
        "slices twice as thick, each the mean of two": thick,
        **{
            f"gantry tilt of {degrees} degrees{'' if marked else ', unmarked'}": functools.partial(
                tilted, degrees=degrees, marked=marked
            )
            for marked in (True, False)
            for degrees in (5, 15)
        },
    }


def _spacing_mm(affine_lps: NDArray[np.float64]) -> tuple[float, float, float]:
    slices, rows, columns = np.linalg.norm(affine_lps[:3, :3], axis=0)
    return float(slices), float(rows), float(columns)


def _readings(lesion: Lesion, image: Stated) -> list[Reading]:
    """Volume, surface, diameters and mean attenuation."""
    hu, affine, true_affine = image
    volume = volume_of(hu, affine)
    regions = _regions(lesion_mask(hu.shape, true_affine, lesion), volume)
    (shapes,), (diameters,), (intensities,) = (
        measure_shapes(regions),
        measure_diameters(regions),
        measure_intensities(volume, regions),
    )
    found = {m.quantity.name: m.value for m in (*shapes.values, *diameters.measured.values, *intensities.values)}
    half_diagonal = float(np.linalg.norm(regions.source_grid.spacing_mm)) / 2
    shell_ml = shell_of(lesion, true_affine)
    return [
        Reading("volume", lesion.volume_ml, found.get("volume_ml"), allowed_of(lesion.volume_ml, shell_ml)),
        Reading("surface", lesion.surface_cm2, found.get("surface_cm2"), SHARE * lesion.surface_cm2),
        Reading("long axis", lesion.longest_axial_diameter_mm, found.get("long_axis_mm"), half_diagonal),
        Reading("short axis", lesion.perpendicular_axial_diameter_mm, found.get("short_axis_mm"), half_diagonal),
        Reading("mean HU", lesion.value, found.get("mean_hu"), HU),
    ]


def shell_of(lesion: Lesion, affine_lps: NDArray[np.float64]) -> float:
    """Volume in mL of a shell of half a voxel around an ellipsoid: half its surface, both in units of voxels.

    In units of voxels an ellipsoid is another ellipsoid, whose form is that in mm between the steps of the grid.
    """
    steps = affine_lps[:3, :3]
    half_axes = 1 / np.sqrt(np.linalg.eigvalsh(steps.T @ lesion.form_per_mm2 @ steps))
    surface = Lesion((0.0, 0.0, 0.0), (half_axes[0], half_axes[1], half_axes[2])).surface_cm2 * 100
    return float(surface / 2 * abs(np.linalg.det(steps)) / 1000)


def _regions(mask: NDArray[np.bool_], volume: Volume) -> SegmentedRegions:
    """A mask `(slices, rows, columns)` on a volume's grid as the operators of measure_segmentation take it."""
    builder = RegionBuilder()
    for index, plane in enumerate(mask):
        builder.add(index, plane)
    region = builder.region(TISSUES[1], grid_of(volume))
    return SegmentedRegions((SegmentedObject(volume.slices[0], "BINARY", (region,)),), region.grid, ALGORITHM)
