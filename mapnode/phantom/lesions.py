"""Lesions: ellipsoids at known places, with exact volume, surface and diameters.

An ellipsoid is the largest shape whose every measure is known in closed form: its volume, its surface by an elliptic
integral, its axial diameters from the ellipse that an axial plane cuts through its centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from scipy.special import elliprg

from mapnode.phantom.shapes import BoolArray, FloatArray

Values = TypeVar("Values", np.int16, np.float32, np.float64)


@dataclass(frozen=True)
class Lesion:
    """An ellipsoid of one value.

    Attributes:
        centre_mm: x, y, z of its centre, LPS.
        half_axes_mm: Half the lengths of its three axes.
        rotation_deg: Turns about x, then y, then z (fixed axes) that bring its axes from x, y, z to where they are.
        value: What its voxels hold: HU in a CT, SUV in a PET.
    """

    centre_mm: tuple[float, float, float]
    half_axes_mm: tuple[float, float, float]
    rotation_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    value: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what is no ellipsoid.

        Raises:
            ValueError: If an axis is not positive.
        """
        if min(self.half_axes_mm) <= 0:
            raise ValueError(f"the axes of an ellipsoid are longer than 0 mm, got {self.half_axes_mm}")

    @property
    def volume_ml(self) -> float:
        """Volume, 4/3 pi a b c.

        Examples:
            >>> round(Lesion((0, 0, 0), (10, 10, 10)).volume_ml, 4)
            4.1888
        """
        return 4 / 3 * math.pi * math.prod(self.half_axes_mm) / 1000

    @property
    def surface_cm2(self) -> float:
        """Surface, 4 pi R_G(a2 b2, a2 c2, b2 c2) with Carlson's symmetric integral (DLMF 19.33.1).

        Examples:
            >>> round(Lesion((0, 0, 0), (10, 10, 10)).surface_cm2, 4)
            12.5664
        """
        a, b, c = (half**2 for half in self.half_axes_mm)
        return float(4 * math.pi * elliprg(a * b, a * c, b * c)) / 100

    @property
    def longest_axial_diameter_mm(self) -> float:
        """The longest diameter in an axial plane: the long axis of the ellipse through the centre.

        Sections by parallel planes are similar ellipses and largest at the centre, so no other plane has a longer one.
        """
        return float(2 / math.sqrt(np.linalg.eigvalsh(self.form_per_mm2[:2, :2])[0]))

    @property
    def perpendicular_axial_diameter_mm(self) -> float:
        """The longest diameter perpendicular to the longest one, in the same plane: that ellipse's short axis."""
        return float(2 / math.sqrt(np.linalg.eigvalsh(self.form_per_mm2[:2, :2])[1]))

    @property
    def axial_area_cm2(self) -> float:
        """Largest area of an axial plane, that through the centre."""
        return math.pi * self.longest_axial_diameter_mm * self.perpendicular_axial_diameter_mm / 400

    def contains(self, positions_mm: FloatArray) -> BoolArray:
        """Which positions `(..., 3)`, LPS, lie inside."""
        offsets = positions_mm - np.array(self.centre_mm)
        inside: BoolArray = np.einsum("...i,ij,...j->...", offsets, self.form_per_mm2, offsets) < 1
        return inside

    @property
    def form_per_mm2(self) -> FloatArray:
        """The quadratic form `(3, 3)` of offsets from the centre in mm that is 1 on the surface."""
        turn = Rotation.from_euler("xyz", self.rotation_deg, degrees=True).as_matrix()
        form: FloatArray = turn @ np.diag(1 / np.array(self.half_axes_mm) ** 2) @ turn.T
        return form


def random_lesion(
    rng: np.random.Generator,
    centre_mm: tuple[float, float, float],
    *,
    half_axis_mm: tuple[float, float] = (5.0, 25.0),
    value: float = 60.0,
) -> Lesion:
    """Draw an ellipsoid with axes between two lengths, turned at random, at a place near a given one.

    Args:
        rng: Source of chance; equal states give equal lesions.
        centre_mm: Its centre, moved by up to 2 mm along each axis, so that it lies anywhere between voxels.
        half_axis_mm: Shortest and longest half axis.
        value: What its voxels hold.

    Returns:
        The lesion.
    """
    x, y, z = (float(centre + rng.uniform(-2, 2)) for centre in centre_mm)
    a, b, c = (float(half) for half in rng.uniform(*half_axis_mm, size=3))
    alpha, beta, gamma = (float(angle) for angle in rng.uniform(0, 180, size=3))
    return Lesion((x, y, z), (a, b, c), (alpha, beta, gamma), value)


def lesion_mask(shape: tuple[int, ...], affine_lps: FloatArray, lesion: Lesion) -> BoolArray:
    """Which voxels have their centre inside a lesion.

    Args:
        shape: Slices, rows, columns.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS.
        lesion: The lesion.

    Returns:
        `(slices, rows, columns)`, true inside.
    """
    out = np.zeros(shape, dtype=np.bool_)
    box = _box(shape, affine_lps, lesion)
    indices = np.stack(np.meshgrid(*(np.arange(each.start, each.stop) for each in box), indexing="ij"), axis=-1)
    out[box] = lesion.contains(indices @ affine_lps[:3, :3].T + affine_lps[:3, 3])
    return out


def add_lesions(values: NDArray[Values], affine_lps: FloatArray, lesions: Iterable[Lesion]) -> NDArray[Values]:
    """Put lesions into a volume, a uniform one or a phantom's; the later one covers the earlier.

    Args:
        values: `(slices, rows, columns)`, HU or SUV; it is not changed.
        affine_lps: Takes `(slice, row, column, 1)` to mm, LPS.
        lesions: The lesions.

    Returns:
        The volume with the lesions.
    """
    out = values.copy()
    for lesion in lesions:
        out[lesion_mask(values.shape, affine_lps, lesion)] = lesion.value
    return out


def _box(shape: tuple[int, ...], affine_lps: FloatArray, lesion: Lesion) -> tuple[slice, ...]:
    """The voxels around a lesion; its largest axis bounds it in every direction."""
    reach = max(lesion.half_axes_mm)
    centre = np.linalg.solve(affine_lps, [*lesion.centre_mm, 1.0])[:3]
    # Row i of the inverse is the gradient of index i: its length says how many voxels a millimetre can be.
    radius = reach * np.linalg.norm(np.linalg.inv(affine_lps)[:3, :3], axis=1)
    first = np.clip(np.floor(centre - radius), 0, shape).astype(int)
    end = np.clip(np.ceil(centre + radius) + 1, 0, shape).astype(int)
    return tuple(slice(int(low), int(high)) for low, high in zip(first, end, strict=True))
