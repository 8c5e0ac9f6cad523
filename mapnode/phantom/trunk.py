"""Trunk phantom: a digital CT of the abdomen whose tissue volumes are known.

The body of `mapnode.phantom.anatomy` is sampled on a voxel grid; its volumes are integrated from the same shapes on a
grid of their own, so that they know nothing of the voxels that an algorithm is measured on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mapnode.phantom.anatomy import (
    HU_OF_MATERIAL,
    TISSUE_OF_MATERIAL,
    Z_LIMIT_MM,
    Material,
    PhantomTissue,
    material_plane,
)
from mapnode.phantom.shapes import FloatArray, Plane
from mapnode.phantom.trunk_body import REFERENCE, TrunkBody

_FINE_IN_PLANE_MM = 1.0
_FINE_BETWEEN_PLANES_MM = 1.5
_FINE_HALF_FIELD_MM = (122.0, 176.0)
"""Of the body of the anatomy; what more fat adds to it is at most the thickness of the usual one at back and flanks."""
_FAT_MM = (26.0, 28.0)
_GOLDEN = (0.7548776662466927, 0.5698402909980532)
"""Shifts of the fine grid from plane to plane (R2 sequence), so that the errors at the edges cancel."""


@dataclass(frozen=True)
class TrunkPhantomParameters:
    """How the phantom is sampled, and whose body it is.

    Attributes:
        slices: Number of slices.
        spacing_mm: Distance between slices, rows, columns. Slices are samples, not averages, at any thickness.
        field_mm: Height (rows) and width (columns) of a slice; rounded to whole pixels.
        centre_z_mm: Height of the stack's middle: 0 is the mid-abdomen, ribs lie above 20 mm, the waist at -40 mm.
        blur_mm: Standard deviation of a Gaussian blur in all three directions.
        noise_hu: Standard deviation of the noise added after the blur.
        seed: Seed of the noise.
        table: Put the body on foam and a table.
        body: Whose trunk it is. Heights along z are those of the body of the anatomy, times its `height`.
    """

    slices: int = 64
    spacing_mm: tuple[float, float, float] = (3.0, 1.5, 1.5)
    field_mm: tuple[float, float] = (384.0, 384.0)
    centre_z_mm: float = 0.0
    blur_mm: float = 0.0
    noise_hu: float = 0.0
    seed: int = 0
    table: bool = True
    body: TrunkBody = REFERENCE

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled.

        Raises:
            ValueError: If there is no slice, a length is not positive, or the stack leaves the anatomy.
        """
        if self.slices < 1 or min(*self.spacing_mm, *self.field_mm) <= 0:
            raise ValueError(f"a phantom needs slices and positive lengths, got {self}")
        if min(self.blur_mm, self.noise_hu) < 0:
            raise ValueError(f"blur and noise cannot be negative, got {self.blur_mm} mm and {self.noise_hu} HU")
        limit = Z_LIMIT_MM * self.body.height
        if max(map(abs, self.range_z_mm)) > limit:
            raise ValueError(f"the anatomy ends at z = +-{limit} mm, the stack covers {self.range_z_mm} mm")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        rows, columns = (round(self.field_mm[axis] / self.spacing_mm[axis + 1]) for axis in (0, 1))
        return self.slices, rows, columns

    @property
    def range_z_mm(self) -> tuple[float, float]:
        """Lower edge of the lowest and upper edge of the highest slice."""
        half = self.slices * self.spacing_mm[0] / 2
        return self.centre_z_mm - half, self.centre_z_mm + half


@dataclass(frozen=True)
class Phantom:
    """A sampled body and the truth about it.

    Attributes:
        hu: Attenuation `(slices, rows, columns)`; slices to the head, rows to the back, columns to the patient's left.
        affine_lps: Takes `(slice, row, column, 1)` to the position of the voxel's centre, in mm, LPS.
        truth_labels: A `PhantomTissue` per voxel: the tissue at its centre.
        truth_volume_ml: Volume inside the stack's range, from the shapes and not from the voxels: "body" (all inside
            the skin's surface), "bone", "subcutaneous_fat", "visceral_fat", "skeletal_muscle", "intermuscular_fat".
        truth_mean_hu: Mean attenuation of the same regions, without blur and noise.
    """

    hu: NDArray[np.int16]
    affine_lps: NDArray[np.float64]
    truth_labels: NDArray[np.uint8]
    truth_volume_ml: Mapping[str, float]
    truth_mean_hu: Mapping[str, float]


def build_trunk_phantom(parameters: TrunkPhantomParameters | None = None) -> Phantom:
    """Sample the trunk phantom.

    Args:
        parameters: The sampling; without it, 64 slices of 3 mm with pixels of 1.5 mm.

    Returns:
        The phantom. Equal parameters give equal arrays.

    Examples:
        >>> phantom = build_trunk_phantom(TrunkPhantomParameters(slices=2, spacing_mm=(5.0, 4.0, 4.0)))
        >>> phantom.hu.shape
        (2, 96, 96)
    """
    parameters = parameters or TrunkPhantomParameters()
    affine_lps = _affine_lps(parameters)
    materials = _sample(parameters, affine_lps)
    volume_ml, mean_hu = _integrate(*parameters.range_z_mm, parameters.body)
    return Phantom(
        hu=_scan(HU_OF_MATERIAL[materials], parameters),
        affine_lps=affine_lps,
        truth_labels=TISSUE_OF_MATERIAL[materials],
        truth_volume_ml=volume_ml,
        truth_mean_hu=mean_hu,
    )


def trunk_areas_cm2(parameters: TrunkPhantomParameters, slices: Sequence[int]) -> Mapping[str, FloatArray]:
    """Integrate the area of each tissue in the planes through the middle of some slices.

    Args:
        parameters: The body and the stack.
        slices: Which slices, counted from the lowest.

    Returns:
        Areas, one a slice, in cm2 by the names of `Phantom.truth_volume_ml`.
    """
    centres = parameters.range_z_mm[0] + parameters.spacing_mm[0] * (np.asarray(slices) + 0.5)
    by_slice = [
        _by_tissue(_fine_areas_mm2(float(z_mm), index, parameters.body) / 100)[0] for index, z_mm in enumerate(centres)
    ]
    return {name: np.array([areas[name] for areas in by_slice]) for name in by_slice[0]}


def _affine_lps(parameters: TrunkPhantomParameters) -> FloatArray:
    """Centre the slices on the body's axis."""
    affine_lps = np.zeros((4, 4))
    middle = (parameters.centre_z_mm, 0.0, 0.0)
    for axis, lps in enumerate((2, 1, 0)):
        affine_lps[lps, axis] = parameters.spacing_mm[axis]
        affine_lps[lps, 3] = middle[axis] - parameters.spacing_mm[axis] * (parameters.shape[axis] - 1) / 2
    affine_lps[3, 3] = 1
    return affine_lps


def _sample(parameters: TrunkPhantomParameters, affine_lps: FloatArray) -> NDArray[np.uint8]:
    """Take the material at each voxel's centre."""
    z, y, x = (
        affine_lps[lps, 3] + affine_lps[lps, axis] * np.arange(parameters.shape[axis])
        for axis, lps in enumerate((2, 1, 0))
    )
    planes = (Plane(x, y, float(height)) for height in z)
    return np.stack([material_plane(plane, table=parameters.table, body=parameters.body) for plane in planes])


def _scan(hu: NDArray[np.int16], parameters: TrunkPhantomParameters) -> NDArray[np.int16]:
    """Blur and add noise, in that order; leave a sharp, quiet phantom untouched."""
    if parameters.blur_mm == 0 and parameters.noise_hu == 0:
        return hu
    image = hu.astype(np.float64)
    if parameters.blur_mm > 0:
        sigma = [parameters.blur_mm / spacing for spacing in parameters.spacing_mm]
        image = ndimage.gaussian_filter(image, sigma, mode="nearest")
    if parameters.noise_hu > 0:
        image += np.random.default_rng(parameters.seed).normal(0, parameters.noise_hu, image.shape)
    # A scanner stores nothing below its intercept.
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


@lru_cache(maxsize=16)
def _integrate(low_mm: float, high_mm: float, body: TrunkBody) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Integrate volumes and mean attenuations between two heights."""
    planes = math.ceil((high_mm - low_mm) / _FINE_BETWEEN_PLANES_MM)
    step_mm = (high_mm - low_mm) / planes
    areas = sum(_fine_areas_mm2(low_mm + (index + 0.5) * step_mm, index, body) for index in range(planes))
    return _by_tissue(np.asarray(areas * step_mm / 1000))


def _fine_areas_mm2(z_mm: float, index: int, body: TrunkBody) -> FloatArray:
    """Area of each material at a height, `(materials,)`, counted on a grid shifted by its own part of a pixel."""
    factors = (body.depth, body.width)
    half_mm = (
        (half + max(0.0, body.fat - 1) * fat) * factor
        for half, fat, factor in zip(_FINE_HALF_FIELD_MM, _FAT_MM, factors, strict=True)
    )
    y, x = (
        np.arange(-half - 1, half + 1, _FINE_IN_PLANE_MM) + (0.5 + index * golden) % 1 * _FINE_IN_PLANE_MM
        for half, golden in zip(half_mm, _GOLDEN, strict=True)
    )
    found = material_plane(Plane(x, y, z_mm), table=False, body=body)
    return np.asarray(np.bincount(found.ravel(), minlength=len(Material)) * _FINE_IN_PLANE_MM**2, dtype=np.float64)


def _by_tissue(of_material: FloatArray) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Sum volumes or areas of materials into those of tissues, with mean attenuations; "body" is everything inside."""
    regions = {"body": np.not_equal(TISSUE_OF_MATERIAL, PhantomTissue.OUTSIDE)}
    for tissue in PhantomTissue:
        if tissue not in {PhantomTissue.OUTSIDE, PhantomTissue.OTHER}:
            regions[tissue.name.lower()] = np.equal(TISSUE_OF_MATERIAL, tissue)
    sums = {name: float(of_material[region].sum()) for name, region in regions.items()}
    means = {
        name: float((of_material * HU_OF_MATERIAL)[region].sum() / sums[name]) if sums[name] else math.nan
        for name, region in regions.items()
    }
    return MappingProxyType(sums), MappingProxyType(means)
