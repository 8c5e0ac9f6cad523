"""Degrade: what scanners and patients do to a clean phantom. Pure functions on HU volumes `(slices, rows, columns)`.

They follow the order of a scan: metal in the patient, the tilt of the gantry, the blur of detector and kernel, the
thickness of a slice, noise. The table is a parameter of the phantoms themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mapnode.phantom.shapes import FloatArray

FWHM_OF_SD = 2 * math.sqrt(2 * math.log(2))
"""Full width at half maximum of a Gaussian, as a multiple of its standard deviation: 2.355."""
STORED_HU = (-1024, 3071)
"""What 12 bits with an intercept of -1024 hold: a scanner stores nothing beyond."""


@dataclass(frozen=True)
class Implant:
    """A metal cylinder, as a nail or a stem of a prosthesis, with its streaks.

    Attributes:
        start_mm: One end of its axis, LPS.
        end_mm: The other end.
        radius_mm: Its radius.
        hu: What the scanner makes of the metal.
        streak_hu: Amplitude of the streaks at its surface; they fall with the distance from it.
        streaks: Number of bright streaks around it.
    """

    start_mm: tuple[float, float, float]
    end_mm: tuple[float, float, float]
    radius_mm: float = 6.0
    hu: float = 3071.0
    streak_hu: float = 400.0
    streaks: int = 4

    def __post_init__(self) -> None:
        """Refuse what is no cylinder.

        Raises:
            ValueError: If the radius is not positive or both ends are one point.
        """
        if self.radius_mm <= 0 or self.start_mm == self.end_mm:
            raise ValueError(f"an implant is a cylinder with two ends and a radius above 0 mm, got {self}")


def add_metal(
    hu: NDArray[np.int16], affine_lps: FloatArray, implant: Implant, *, streaks: bool = True
) -> NDArray[np.int16]:
    """Put a metal cylinder into a volume.

    A streak pattern `streak_hu * cos(2 * streaks * angle) * radius / distance` lies in every slice that the cylinder
    meets: bright and dark fans with the sign, the place and the decay of beam hardening and photon starvation, not
    their physics.

    Args:
        hu: Attenuation `(slices, rows, columns)`; it is not changed.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS; slices are axial.
        implant: The cylinder.
        streaks: Whether it throws streaks.

    Returns:
        The volume with the implant, within what a scanner stores.
    """
    start, end = np.array(implant.start_mm), np.array(implant.end_mm)
    axis = end - start
    out = hu.astype(np.float64)
    for index in range(hu.shape[0]):
        from_start = _positions(hu.shape, affine_lps, index) - start
        along = from_start @ axis / (axis @ axis)
        distance = np.linalg.norm(from_start - along[..., None] * axis, axis=-1)
        inside = (distance < implant.radius_mm) & (along >= 0) & (along <= 1)
        if streaks and inside.any():
            out[index] += _streaks(from_start - along[..., None] * axis, distance, implant)
        out[index][inside] = implant.hu
    return _stored(out)


def _streaks(from_axis: FloatArray, distance: FloatArray, implant: Implant) -> FloatArray:
    """The fans around a cylinder, `(rows, columns)` in HU."""
    angle = np.arctan2(from_axis[..., 1], from_axis[..., 0])
    decay = implant.radius_mm / np.maximum(distance, implant.radius_mm)
    fans: FloatArray = implant.streak_hu * decay * np.cos(2 * implant.streaks * angle)
    return fans


def tilt_gantry(hu: NDArray[np.int16], affine_lps: FloatArray, degrees: float) -> tuple[NDArray[np.int16], FloatArray]:
    """Scan again with a gantry tilted about the left-right axis while the table moves along z.

    Args:
        hu: Attenuation `(slices, rows, columns)`.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS; slices are axial, rows lie along y.
        degrees: Tilt; positive leans the back of the gantry towards the head.

    Returns:
        The planes that the tilted gantry sees, by linear interpolation, and their affine, whose slices are shifted
        against each other. Beyond its first and last slice the body is taken to continue.
    """
    tilted = np.array(affine_lps, dtype=np.float64)
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    row_mm = tilted[1, 1]
    tilted[1:3, 1] = row_mm * cosine, row_mm * sine
    middle = (hu.shape[1] - 1) / 2
    # The planes turn about their middle rows, which stay where they were.
    tilted[1:3, 3] += middle * (np.array([row_mm, 0.0]) - tilted[1:3, 1])
    to_source = np.linalg.inv(affine_lps) @ tilted
    values = ndimage.affine_transform(
        hu.astype(np.float64), to_source[:3, :3], to_source[:3, 3], order=1, mode="nearest"
    )
    return _stored(values), tilted


def blur(hu: NDArray[np.int16], spacing_mm: tuple[float, float, float], fwhm_mm: float) -> NDArray[np.int16]:
    """Blur by a Gaussian of the same width in all three directions.

    Args:
        hu: Attenuation `(slices, rows, columns)`.
        spacing_mm: Distance between slices, rows, columns.
        fwhm_mm: Full width at half maximum in mm; a soft kernel has 1 to 1.5 mm.

    Returns:
        The blurred volume; beyond its border it is taken to continue.
    """
    sigma = [fwhm_mm / FWHM_OF_SD / spacing for spacing in spacing_mm]
    return _stored(ndimage.gaussian_filter(hu.astype(np.float64), sigma, mode="nearest"))


def thicken(hu: NDArray[np.int16], affine_lps: FloatArray, slices: int) -> tuple[NDArray[np.int16], FloatArray]:
    """Average neighbouring slices into thicker ones, as a scanner reconstructs them.

    Args:
        hu: Attenuation `(slices, rows, columns)`.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS.
        slices: Number of slices that become one; what is left over at the end is dropped.

    Returns:
        The thicker slices and their affine.

    Raises:
        ValueError: If there are not as many slices.
    """
    count = hu.shape[0] // slices if slices > 0 else 0
    if count == 0:
        raise ValueError(f"{hu.shape[0]} slices do not make one of {slices}; average fewer")
    mean = hu[: count * slices].reshape(count, slices, *hu.shape[1:]).mean(axis=1, dtype=np.float64)
    thick = np.array(affine_lps, dtype=np.float64)
    thick[:3, 3] += affine_lps[:3, 0] * (slices - 1) / 2
    thick[:3, 0] *= slices
    return _stored(mean), thick


def add_noise(hu: NDArray[np.int16], sd_hu: float, seed: int) -> NDArray[np.int16]:
    """Add white Gaussian noise of a standard deviation in HU; equal seeds give equal noise."""
    return _stored(hu + np.random.default_rng(seed).normal(0, sd_hu, hu.shape))


def _positions(shape: tuple[int, ...], affine_lps: FloatArray, index: int) -> FloatArray:
    """Positions of one slice's voxels in mm, LPS, `(rows, columns, 3)`."""
    rows, columns = np.mgrid[: shape[1], : shape[2]]
    indices = np.stack([np.full(rows.shape, index), rows, columns], axis=-1)
    positions: FloatArray = indices @ affine_lps[:3, :3].T + affine_lps[:3, 3]
    return positions


def _stored(values: FloatArray) -> NDArray[np.int16]:
    return np.clip(np.rint(values), *STORED_HU).astype(np.int16)
