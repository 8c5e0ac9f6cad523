"""Leg phantom: a digital CT of both legs whose tissue areas and volumes are known, by leg.

The legs of `mapnode.phantom.leg_anatomy` are put beside each other, turned, and sampled on a voxel grid; areas and
volumes are integrated from the same shapes on a grid of their own, as for the trunk.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mapnode.phantom.leg_anatomy import (
    HU_OF_MATERIAL,
    SKIN_MM,
    TISSUE_OF_MATERIAL,
    Island,
    LegShape,
    LegTissue,
    Material,
    leg_materials,
)
from mapnode.phantom.shapes import FloatArray

SIDES = {"left": 1, "right": -1}
"""Direction of each leg along x of LPS."""
TISSUES = tuple(tissue.name.lower() for tissue in LegTissue if tissue > LegTissue.OTHER)
_FINE_IN_PLANE_MM = 1.5
_FINE_BETWEEN_PLANES_MM = 3.0
_GOLDEN = (0.7548776662466927, 0.5698402909980532)
"""Shifts of the fine grid from plane to plane (R2 sequence), so that the errors at the edges cancel."""
_FOAM_MM = 10.0


@dataclass(frozen=True)
class LegPhantomParameters:
    """Two legs, how they lie, and how they are sampled.

    Attributes:
        left: Shape of the left leg.
        right: Shape of the right leg.
        gap_mm: Air between the thighs where they are widest; below 0 they press against each other at the midline.
        right_shift_mm: How much higher the right leg lies.
        rotation_deg: How far both feet fall outwards: each leg turns about its own axis.
        roll_deg: Turn of the whole patient about z, from x towards y.
        slices: Number of slices. Slices are samples, not averages, at any thickness.
        spacing_mm: Distance between slices, rows, columns.
        field_mm: Height (rows) and width (columns) of a slice; rounded to whole pixels.
        centre_z_mm: Height of the stack's middle above the left knee joint.
        table: Put the legs on foam and a table.
    """

    left: LegShape = field(default_factory=LegShape)
    right: LegShape = field(default_factory=LegShape)
    gap_mm: float = 20.0
    right_shift_mm: float = 0.0
    rotation_deg: float = 0.0
    roll_deg: float = 0.0
    slices: int = 160
    spacing_mm: tuple[float, float, float] = (5.0, 2.0, 2.0)
    field_mm: tuple[float, float] = (320.0, 480.0)
    centre_z_mm: float = 40.0
    table: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled.

        Raises:
            ValueError: If there is no slice or a length is not positive.
        """
        if self.slices < 1 or min(*self.spacing_mm, *self.field_mm) <= 0:
            raise ValueError(f"a phantom needs slices and positive lengths, got {self}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns."""
        rows, columns = (round(self.field_mm[axis] / self.spacing_mm[axis + 1]) for axis in (0, 1))
        return self.slices, rows, columns

    @property
    def affine_lps(self) -> FloatArray:
        """Takes `(slice, row, column, 1)` to mm, LPS; the midline between the legs is the middle of the columns."""
        affine = np.zeros((4, 4))
        middle = (self.centre_z_mm, 0.0, 0.0)
        for axis, lps in enumerate((2, 1, 0)):
            affine[lps, axis] = self.spacing_mm[axis]
            affine[lps, 3] = middle[axis] - self.spacing_mm[axis] * (self.shape[axis] - 1) / 2
        affine[3, 3] = 1
        return affine

    @property
    def centres_z_mm(self) -> FloatArray:
        """Height of the middle of each slice."""
        steps = np.arange(self.slices, dtype=np.float64) - (self.slices - 1) / 2
        return np.asarray(self.centre_z_mm + self.spacing_mm[0] * steps)

    def leg(self, side: str) -> tuple[LegShape, float]:
        """A leg's shape and how much higher it lies than the left one."""
        return (self.left, 0.0) if side == "left" else (self.right, self.right_shift_mm)

    def axis_mm(self, side: str) -> float:
        """Distance of a leg's axis from the midline: half the gap and as far as its turned outline reaches."""
        across, along = self.leg(side)[0].reach_mm
        turn = math.radians(self.rotation_deg)
        return math.hypot(across * math.cos(turn), along * math.sin(turn)) + self.gap_mm / 2

    def femur_z_mm(self, side: str) -> tuple[float, float]:
        """Lower and upper end of a femur."""
        shape, shift = self.leg(side)
        low, high = shape.femur_z_mm
        return low + shift, high + shift


@dataclass(frozen=True)
class LegTruth:
    """What is known about the legs inside the stack's range, by names such as `skeletal_muscle_left`.

    Attributes:
        area_cm2: Area in the plane through the middle of each slice, `(slices,)`.
        volume_ml: Volume, from the shapes and not from the voxels.
        mean_hu: Mean attenuation, without blur and noise; NaN where there is none of the tissue.
    """

    area_cm2: Mapping[str, FloatArray]
    volume_ml: Mapping[str, float]
    mean_hu: Mapping[str, float]


@dataclass(frozen=True)
class LegPhantom:
    """Sampled legs.

    Attributes:
        hu: Attenuation `(slices, rows, columns)`; slices to the head, rows to the back, columns to the patient's left.
        affine_lps: Takes `(slice, row, column, 1)` to the position of the voxel's centre, in mm, LPS.
        truth_labels: A `LegTissue` a voxel: the tissue at its centre.
        truth_side: 1 in the left leg, -1 in the right one, 0 outside.
    """

    hu: NDArray[np.int16]
    affine_lps: FloatArray
    truth_labels: NDArray[np.uint8]
    truth_side: NDArray[np.int8]


def build_leg_phantom(parameters: LegPhantomParameters | None = None) -> LegPhantom:
    """Sample the leg phantom.

    Args:
        parameters: The legs and their sampling; without it, both whole legs in 160 slices of 5 mm.

    Returns:
        The phantom. Equal parameters give equal arrays.

    Examples:
        >>> phantom = build_leg_phantom(LegPhantomParameters(slices=2, spacing_mm=(5.0, 4.0, 4.0)))
        >>> phantom.hu.shape
        (2, 80, 120)
    """
    parameters = parameters or LegPhantomParameters()
    _, rows, columns = parameters.shape
    affine = parameters.affine_lps
    x, y = np.meshgrid(affine[0, 3] + affine[0, 2] * np.arange(columns), affine[1, 3] + affine[1, 1] * np.arange(rows))
    hu = np.empty(parameters.shape, dtype=np.int16)
    labels, sides = np.empty(parameters.shape, dtype=np.uint8), np.zeros(parameters.shape, dtype=np.int8)
    couch = _table(parameters, x, y)
    for index, z_mm in enumerate(parameters.centres_z_mm):
        material = couch.copy()
        for side, direction in SIDES.items():
            at, found = _leg_plane(parameters, side, x.ravel(), y.ravel(), float(z_mm))
            material.ravel()[at] = found
            sides[index].ravel()[at] = direction
        hu[index], labels[index] = HU_OF_MATERIAL[material], TISSUE_OF_MATERIAL[material]
    return LegPhantom(hu, affine, labels, sides)


def leg_truth(parameters: LegPhantomParameters, in_plane_mm: float = _FINE_IN_PLANE_MM) -> LegTruth:
    """Integrate areas and volumes from the shapes.

    Args:
        parameters: The legs and the stack.
        in_plane_mm: Distance of the points that are counted. The mean attenuation of a bone, which is its share of
            cortex, needs 0.5 mm to be right to 1 HU over thirty slices; the default does for volumes and areas.

    Returns:
        The truth; it does not depend on rows, columns, field, roll and table.
    """
    upright = replace(parameters, roll_deg=0.0)
    areas, volumes, means = {}, {}, {}
    for side in SIDES:
        # cm2 of each material by slice, and the mean over the planes within a slice.
        middle, mean = _fine_areas(upright, side, in_plane_mm)
        by_material = mean.sum(axis=0) * parameters.spacing_mm[0] / 10
        for name in TISSUES:
            of_tissue = np.equal(TISSUE_OF_MATERIAL, LegTissue[name.upper()])
            areas[f"{name}_{side}"] = middle[:, of_tissue].sum(axis=1)
            total = float(by_material[of_tissue].sum())
            volumes[f"{name}_{side}"] = total
            attenuation = float((by_material * HU_OF_MATERIAL)[of_tissue].sum())
            means[f"{name}_{side}"] = attenuation / total if total else math.nan
    return LegTruth(areas, volumes, means)


def random_leg_parameters(rng: np.random.Generator, thickness_mm: float, pixel_mm: float = 2.0) -> LegPhantomParameters:
    """Draw two legs of one body, their pose, and a stack that holds both femora.

    Args:
        rng: Source of chance; equal states give equal legs.
        thickness_mm: Distance between slices.
        pixel_mm: Distance between rows and between columns.

    Returns:
        Legs from slender to stout, apart or pressed together, turned by up to 15 degrees, the right one a little
        smaller or larger and higher or lower than the left one.
    """
    left = _random_leg(rng)
    right = replace(
        _random_leg(rng),
        femur_length_mm=left.femur_length_mm + float(rng.uniform(-6, 6)),
        girth=left.girth * float(rng.uniform(0.93, 1.07)),
        fat_mm=left.fat_mm * float(rng.uniform(0.9, 1.1)),
    )
    low, high = -float(rng.uniform(60, 200)), left.femur_z_mm[1] + 20
    return LegPhantomParameters(
        left=left,
        right=right,
        gap_mm=float(rng.uniform(-8, 30)),
        right_shift_mm=float(rng.uniform(-8, 8)),
        rotation_deg=float(rng.uniform(0, 15)),
        roll_deg=float(rng.uniform(-8, 8)),
        slices=math.ceil((high - low) / thickness_mm),
        spacing_mm=(thickness_mm, pixel_mm, pixel_mm),
        field_mm=(340.0, 560.0),
        centre_z_mm=(low + high) / 2 + float(rng.uniform(-0.5, 0.5)) * thickness_mm,
    )


def _random_leg(rng: np.random.Generator) -> LegShape:
    islands = tuple(
        Island(
            level=float(rng.uniform(0.35, 0.75)),
            angle=float(rng.uniform(0, 2 * math.pi)),
            radius_mm=float(rng.uniform(2, 4)),
            period_mm=float(rng.uniform(60, 150)),
            phase=float(rng.uniform(0, 2 * math.pi)),
        )
        for _ in range(8)
    )
    return LegShape(
        femur_length_mm=float(rng.uniform(390, 490)),
        tibia_length_mm=float(rng.uniform(330, 400)),
        girth=float(rng.uniform(0.95, 1.25)),
        fat_mm=float(rng.uniform(6, 30)),
        fat_share=float(rng.uniform(0.03, 0.18)),
        islands=islands,
    )


def _leg_plane(
    parameters: LegPhantomParameters, side: str, x: FloatArray, y: FloatArray, z_mm: float
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Points of a plane that lie in a leg, as flat indices, and their materials."""
    shape, shift_mm = parameters.leg(side)
    roll, turn = math.radians(parameters.roll_deg), math.radians(parameters.rotation_deg)
    lateral = (x * math.cos(roll) + y * math.sin(roll)) * SIDES[side]
    back = y * math.cos(roll) - x * math.sin(roll)
    away = lateral - parameters.axis_mm(side)
    near = np.flatnonzero((lateral > 0) & (np.hypot(away, back) < max(shape.reach_mm) + SKIN_MM))
    # The foot falls outwards: what lay in front of the axis now lies beside it.
    u = away[near] * math.cos(turn) - back[near] * math.sin(turn)
    v = away[near] * math.sin(turn) + back[near] * math.cos(turn)
    material = leg_materials(shape, u, v, z_mm - shift_mm)
    # Where thighs press against each other each keeps its skin.
    material[(material > 0) & (lateral[near] < SKIN_MM)] = Material.SKIN
    inside = material > 0
    return near[inside], material[inside]


def _table(parameters: LegPhantomParameters, x: FloatArray, y: FloatArray) -> NDArray[np.uint8]:
    """Foam of 10 mm below the legs on a flat top of 4 mm, `(rows, columns)`."""
    out = np.zeros(x.shape, dtype=np.uint8)
    if not parameters.table:
        return out
    roll = abs(math.sin(math.radians(parameters.roll_deg)))
    top = max(max(parameters.leg(side)[0].reach_mm) + parameters.axis_mm(side) * roll for side in SIDES)
    out[(np.abs(x) < 180) & (y >= top) & (y < top + _FOAM_MM)] = Material.FOAM
    out[(np.abs(x) < 220) & (y >= top + _FOAM_MM) & (y < top + _FOAM_MM + 4)] = Material.TABLE
    return out


def _fine_areas(parameters: LegPhantomParameters, side: str, in_plane_mm: float) -> tuple[FloatArray, FloatArray]:
    """Area of each material in cm2, `(slices, materials)`: in the middle of each slice, and its mean over the slice."""
    thickness = parameters.spacing_mm[0]
    # An odd number, so that one of the planes is the middle one.
    planes = 2 * math.ceil((thickness / _FINE_BETWEEN_PLANES_MM - 1) / 2) + 1
    areas = np.empty((parameters.slices, planes, len(Material)))
    for index, z_mm in enumerate(parameters.centres_z_mm):
        for plane in range(planes):
            height = z_mm + ((plane + 0.5) / planes - 0.5) * thickness
            x, y = _fine_plane(parameters, side, index * planes + plane, in_plane_mm)
            _, found = _leg_plane(parameters, side, x, y, float(height))
            areas[index, plane] = np.bincount(found, minlength=len(Material))
    areas *= in_plane_mm**2 / 100
    return areas[:, planes // 2], areas.mean(axis=1)


def _fine_plane(
    parameters: LegPhantomParameters, side: str, index: int, in_plane_mm: float
) -> tuple[FloatArray, FloatArray]:
    """Points around a leg's axis on the fine grid, shifted by their own part of a pixel."""
    reach = max(parameters.leg(side)[0].reach_mm) + 1
    steps = [np.arange(-reach, reach, in_plane_mm) + (0.5 + index * golden) % 1 * in_plane_mm for golden in _GOLDEN]
    across, back = np.meshgrid(steps[0] + parameters.axis_mm(side), steps[1])
    return across.ravel() * SIDES[side], back.ravel()
