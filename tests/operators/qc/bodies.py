"""Bodies: axial CTs of ellipses with everything known, built in a moment."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from operators.core.volume import Volume
from tests.builders import AXIAL, make_affine

AIR, SKIN_FAT, SOFT, BONE = -1000, -100, 45, 600


def make_body(
    half_mm=(110.0, 160.0),
    spacing_mm=(5.0, 2.0, 2.0),
    slices=12,
    *,
    fat_mm=22.0,
    table=False,
    liver_x_mm: float | None = -70.0,
    blur_mm=0.0,
    noise_hu=0.0,
    padding=False,
) -> Volume:
    """An elliptical body: fat around soft tissue, a vertebra, cavity fat with a liver of 55 mm radius in it.

    `half_mm` is half its depth and width, `liver_x_mm` the place of the liver, to the patient's left; `blur_mm` is a
    standard deviation.
    """
    rows, columns = (int(2 * (half + 40) / mm) for half, mm in zip(half_mm, spacing_mm[1:], strict=True))
    y = (np.arange(rows) - (rows - 1) / 2)[:, None] * spacing_mm[1]
    x = (np.arange(columns) - (columns - 1) / 2)[None, :] * spacing_mm[2]

    def ellipse(shrink):
        return (y / (half_mm[0] - shrink)) ** 2 + (x / (half_mm[1] - shrink)) ** 2 <= 1

    plane = np.full((rows, columns), float(AIR))
    for shrink, value in ((0, SKIN_FAT), (fat_mm, SOFT), (fat_mm + 12, SKIN_FAT)):
        plane[ellipse(shrink)] = value
    if liver_x_mm is not None:
        plane[(x - liver_x_mm) ** 2 + y**2 <= 55**2] = SOFT
    plane[(y - 50) ** 2 + x**2 <= 17**2] = BONE
    if table:
        plane[(np.abs(x) < 150) & (np.abs(y - half_mm[0] - 12) < 3)] = 40
    hu = np.repeat(plane[None], slices, axis=0)
    if blur_mm:
        hu = ndimage.gaussian_filter(hu, [0, blur_mm / spacing_mm[1], blur_mm / spacing_mm[2]], mode="nearest")
    if noise_hu:
        hu += np.random.default_rng(3).normal(0, noise_hu, hu.shape)
    corners = np.broadcast_to(np.hypot(y, x) > max(half_mm) + 30, hu.shape).copy() if padding else None
    if corners is not None:
        hu[corners] = 3000
    array = np.rint(hu).astype(np.int16)
    return Volume(array, make_affine(AXIAL, spacing_mm), "1.2", (), corners)


def make_legs(
    half_mm=75.0,
    gap_mm=30.0,
    spacing_mm=(5.0, 2.0, 2.0),
    slices=12,
    *,
    fat_mm=15.0,
    table=False,
    blur_mm=0.0,
    noise_hu=0.0,
) -> Volume:
    """Two round legs beside each other: fat around muscle around a shaft of 13 mm; `gap_mm` of air lie between them."""
    reach = 2 * half_mm + gap_mm / 2
    rows, columns = int(2 * (half_mm + 50) / spacing_mm[1]), int(2 * (reach + 50) / spacing_mm[2])
    y = (np.arange(rows) - (rows - 1) / 2)[:, None] * spacing_mm[1]
    x = (np.arange(columns) - (columns - 1) / 2)[None, :] * spacing_mm[2]
    away = np.hypot(y, np.abs(x) - half_mm - gap_mm / 2)
    plane = np.full((rows, columns), float(AIR))
    for radius, value in ((half_mm, SKIN_FAT), (half_mm - fat_mm, SOFT), (13.0, BONE)):
        plane[away <= radius] = value
    if table:
        plane[(np.abs(x) < reach) & (np.abs(y - half_mm - 15) < 3)] = 40
    hu = np.repeat(plane[None], slices, axis=0)
    if blur_mm:
        hu = ndimage.gaussian_filter(hu, [0, blur_mm / spacing_mm[1], blur_mm / spacing_mm[2]], mode="nearest")
    if noise_hu:
        hu += np.random.default_rng(3).normal(0, noise_hu, hu.shape)
    return Volume(np.rint(hu).astype(np.int16), make_affine(AXIAL, spacing_mm), "1.2", ())


def stored_as(volume: Volume, flips) -> Volume:
    """The same body with some axes backwards in storage."""
    affine = volume.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (volume.array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(np.flip(volume.array, flips)), affine, "1.2", volume.slices)
