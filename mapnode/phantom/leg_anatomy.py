"""Anatomy of the leg phantom: which material lies at a point of two legs, from the hip to above the ankle.

Each leg has a coordinate system of its own: u from its axis away from the midline, v to the back, z to the head with 0
in the knee joint. So one description serves both legs, and the left one is the right one mirrored.

Lengths are those of grown bodies, rounded: a femur of 440 mm with a head of 46 mm and condyles of 82 mm, a tibial
plateau of 74 mm, a femoral shaft of 27 mm with a cortex of 5 mm. Muscle groups are parted by fat planes that run from
the bone to the fascia, and hold marbling of fat; the width of the planes follows from the wanted share of fat.

What life has and these legs have not: vessels, nerves and tendons, popliteal fat, a pelvis around the femoral head,
feet. Every edge is exact, so every area and volume is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mapnode.phantom.shapes import BoolArray, FloatArray, Oval, Solid

JOINT_MM = 4.0
"""Between the condyles and the tibial plateau; z = 0 is its middle."""
ABOVE_HEAD_MM = 10.0
"""The thigh ends so far above the femoral head."""
SKIN_MM = 2.0


class LegTissue(IntEnum):
    """Exclusive tissues of a leg."""

    OUTSIDE = 0
    OTHER = 1
    BONE = 2
    SUBCUTANEOUS_FAT = 3
    INTERMUSCULAR_FAT = 4
    SKELETAL_MUSCLE = 5


class Material(IntEnum):
    """What the phantom is made of."""

    AIR = 0
    FOAM = 1
    TABLE = 2
    SKIN = 3
    SUBCUTANEOUS_FAT = 4
    MUSCLE = 5
    INTERMUSCULAR_FAT = 6
    JOINT = 7
    CORTICAL_BONE = 8
    SPONGY_BONE = 9
    YELLOW_MARROW = 10


_PROPERTIES: dict[Material, tuple[int, LegTissue]] = {
    Material.AIR: (-1000, LegTissue.OUTSIDE),
    Material.FOAM: (-950, LegTissue.OUTSIDE),
    # As bright as soft tissue on purpose: a threshold alone must not be enough to take the table away.
    Material.TABLE: (40, LegTissue.OUTSIDE),
    Material.SKIN: (40, LegTissue.OTHER),
    Material.SUBCUTANEOUS_FAT: (-105, LegTissue.SUBCUTANEOUS_FAT),
    Material.MUSCLE: (55, LegTissue.SKELETAL_MUSCLE),
    Material.INTERMUSCULAR_FAT: (-90, LegTissue.INTERMUSCULAR_FAT),
    # Cartilage, menisci and ligaments: a method that knows windows alone takes them for muscle.
    Material.JOINT: (90, LegTissue.OTHER),
    Material.CORTICAL_BONE: (1000, LegTissue.BONE),
    Material.SPONGY_BONE: (220, LegTissue.BONE),
    # Fat inside the shafts: it has the attenuation of fat and belongs to the bone.
    Material.YELLOW_MARROW: (-60, LegTissue.BONE),
}
HU_OF_MATERIAL: NDArray[np.int16] = np.array([_PROPERTIES[material][0] for material in Material], dtype=np.int16)
TISSUE_OF_MATERIAL: NDArray[np.uint8] = np.array([_PROPERTIES[material][1] for material in Material], dtype=np.uint8)

# Cross-section along the leg: z as a share of the femur's length above the knee and of the tibia's below it, then half
# the width, the depth of the front and of the back half of the fascia, and the share of `fat_mm` outside it.
_PROFILE = np.array([
    (-1.00, 34, 36, 32, 0.35),
    (-0.85, 34, 36, 34, 0.30),
    (-0.60, 44, 42, 48, 0.40),
    (-0.30, 52, 46, 58, 0.50),
    (-0.12, 50, 52, 52, 0.45),
    (0.00, 50, 57, 46, 0.40),
    (0.12, 52, 57, 50, 0.55),
    (0.30, 57, 57, 58, 0.75),
    (0.55, 66, 62, 68, 1.00),
    (0.80, 74, 68, 74, 1.25),
    (1.20, 80, 70, 78, 1.40),
])
_FEMUR_RADIUS = ((24, 24), (45, 23), (90, 15), (120, 13.5))
_TIBIA_RADIUS = ((-120, 13), (-100, 14), (-60, 19), (-30, 24))
_SHAFT_CORTEX_MM = 5.0
_EPIPHYSIS_CORTEX_MM = 2.0
_METAPHYSIS_MM = 90.0
"""So far from the ends of a long bone its inside is spongy; between them is yellow marrow."""
_CONDYLES = (Solid((20, 2, 26), (21, 30, 24)), Solid((-20, 2, 26), (21, 30, 24)))
_PATELLA = Solid((0, -41, 14), (21, 9, 21))
_PLATEAU = Solid((0, 2, -22), (37, 25, 20), z_power=4)
_THIGH_SEPTA_DEG = (60.0, 150.0, 250.0)
_SHANK_SEPTA_DEG = (40.0, 120.0, 320.0)


@dataclass(frozen=True)
class Island:
    """A strand of fat inside a muscle that swells and vanishes along the leg.

    Attributes:
        level: Its place as a share of the way from the axis to the fascia.
        angle: Direction of that place in radians, from u towards v.
        radius_mm: Its largest radius.
        period_mm: Length of a strand and the gap after it.
        phase: Shift along the leg in radians.
    """

    level: float
    angle: float
    radius_mm: float
    period_mm: float
    phase: float


@dataclass(frozen=True)
class LegShape:
    """One leg.

    Attributes:
        femur_length_mm: From the condyles to the top of the head.
        tibia_length_mm: From the knee joint to where the phantom ends, above the ankle.
        girth: Size of the muscle compartment; 1 is a half width of 66 mm in the middle of the thigh.
        fat_mm: Thickness of the subcutaneous fat at the side of the middle of the thigh.
        fat_share: Share of fat among fat and muscle inside the fascia that the fat planes are made for.
        islands: Strands of fat inside the muscles.
    """

    femur_length_mm: float = 440.0
    tibia_length_mm: float = 370.0
    girth: float = 1.0
    fat_mm: float = 14.0
    fat_share: float = 0.07
    islands: tuple[Island, ...] = ()

    @property
    def range_z_mm(self) -> tuple[float, float]:
        """Where the leg ends, below and above."""
        return -self.tibia_length_mm, self.femur_z_mm[1] + ABOVE_HEAD_MM

    @property
    def femur_z_mm(self) -> tuple[float, float]:
        """Lower end of the condyles and upper end of the head."""
        return JOINT_MM / 2, JOINT_MM / 2 + self.femur_length_mm

    def outlines(self, z_mm: float) -> tuple[Oval, Oval]:
        """The fascia and the inner surface of the skin at a height."""
        share = z_mm / (self.femur_length_mm if z_mm > 0 else self.tibia_length_mm)
        width, front, back, fat = (float(np.interp(share, _PROFILE[:, 0], column)) for column in _PROFILE.T[1:])
        fascia = Oval((0, 0), width * self.girth, front * self.girth, back * self.girth)
        fat_mm = fat * self.fat_mm
        # More fat at the inside and the back of a thigh than at its front.
        under_skin = Oval(
            (-0.15 * fat_mm, 0),
            fascia.half_width_mm + fat_mm,
            fascia.half_front_mm + 0.75 * fat_mm,
            fascia.half_back_mm + 1.1 * fat_mm,
        )
        return fascia, under_skin

    @cached_property
    def reach_mm(self) -> tuple[float, float]:
        """Largest distance of the skin from the leg's axis across and along v, wherever that is."""
        ovals = [self.outlines(float(z))[1] for z in np.linspace(*self.range_z_mm, 60)]
        across = max(oval.half_width_mm - oval.centre_mm[0] for oval in ovals)
        along = max(max(oval.half_front_mm, oval.half_back_mm) for oval in ovals)
        return across + SKIN_MM, along + SKIN_MM


def leg_materials(shape: LegShape, u_mm: FloatArray, v_mm: FloatArray, z_mm: float) -> NDArray[np.uint8]:
    """Say which material lies at points of one height of a leg.

    Args:
        shape: The leg.
        u_mm: Distance of each point from the leg's axis, away from the midline.
        v_mm: Its distance from the axis to the back.
        z_mm: Height of all points above the knee joint.

    Returns:
        A `Material` number a point, AIR outside the skin.
    """
    out = np.zeros(u_mm.shape, dtype=np.uint8)
    low, high = shape.range_z_mm
    if not low <= z_mm <= high:
        return out
    fascia, under_skin = shape.outlines(z_mm)
    out[under_skin.inset(-SKIN_MM, -SKIN_MM, -SKIN_MM).contains(u_mm, v_mm)] = Material.SKIN
    out[under_skin.contains(u_mm, v_mm)] = Material.SUBCUTANEOUS_FAT
    deep = np.flatnonzero(fascia.contains(u_mm, v_mm))
    out[deep] = _inside_fascia(shape, fascia, u_mm[deep], v_mm[deep], z_mm)
    return out


def _inside_fascia(shape: LegShape, fascia: Oval, u: FloatArray, v: FloatArray, z_mm: float) -> NDArray[np.uint8]:
    out = np.full(u.shape, Material.MUSCLE, dtype=np.uint8)
    out[_fat_planes(shape, fascia, u, v, z_mm) | _marbling(shape, fascia, u, v, z_mm)] = Material.INTERMUSCULAR_FAT
    if -JOINT_MM <= z_mm <= _CONDYLES[0].centre_mm[2]:
        out[Oval(_PLATEAU.centre_mm[:2], *_PLATEAU.half_mm[:2], _PLATEAU.half_mm[1]).contains(u, v)] = Material.JOINT
    out[_bones(shape, u, v, z_mm, shaft_mm=0.0, end_mm=0.0)] = Material.CORTICAL_BONE
    marrow = (
        Material.YELLOW_MARROW
        if _METAPHYSIS_MM < z_mm < shape.femur_z_mm[1] - _METAPHYSIS_MM or z_mm < -_METAPHYSIS_MM
        else Material.SPONGY_BONE
    )
    out[_bones(shape, u, v, z_mm, shaft_mm=_SHAFT_CORTEX_MM, end_mm=_EPIPHYSIS_CORTEX_MM)] = marrow
    return out


def _fat_planes(shape: LegShape, fascia: Oval, u: FloatArray, v: FloatArray, z_mm: float) -> BoolArray:
    """Slabs from the bone to the fascia, as wide as the wanted share of fat asks for."""
    (u_0, v_0), _ = _femur_shaft(shape, z_mm) if z_mm > 0 else _tibia_shaft(shape, z_mm)
    angles = np.radians(_THIGH_SEPTA_DEG if z_mm > 0 else _SHANK_SEPTA_DEG)
    radius = math.sqrt(fascia.area_mm2() / math.pi)
    half_width = shape.fat_share * math.pi * radius / angles.size / 2
    out = np.zeros(u.shape, dtype=np.bool_)
    for angle in angles:
        cosine, sine = math.cos(angle), math.sin(angle)
        along, across = (u - u_0) * cosine + (v - v_0) * sine, (v - v_0) * cosine - (u - u_0) * sine
        out |= (along > 0) & (np.abs(across) < half_width)
    return out


def _marbling(shape: LegShape, fascia: Oval, u: FloatArray, v: FloatArray, z_mm: float) -> BoolArray:
    out = np.zeros(u.shape, dtype=np.bool_)
    for island in shape.islands:
        radius = island.radius_mm * math.sin(2 * math.pi * z_mm / island.period_mm + island.phase)
        if radius > 0:
            u_0 = island.level * math.cos(island.angle) * fascia.half_width_mm
            v_0 = island.level * math.sin(island.angle) * min(fascia.half_front_mm, fascia.half_back_mm)
            out |= (u - u_0) ** 2 + (v - v_0) ** 2 < radius**2
    return out


def _bones(shape: LegShape, u: FloatArray, v: FloatArray, z_mm: float, *, shaft_mm: float, end_mm: float) -> BoolArray:
    """Points inside any bone whose shafts and ends have that much of their surface taken off."""
    out = np.zeros(u.shape, dtype=np.bool_)
    for (u_0, v_0), radius in _shafts(shape, z_mm):
        # A shaft's cortex thins out towards its ends, and that of the fibula is thin everywhere.
        cortex = min(shaft_mm, radius / 2) if abs(z_mm) > _METAPHYSIS_MM else min(shaft_mm, end_mm)
        out |= (u - u_0) ** 2 + (v - v_0) ** 2 < (radius - cortex) ** 2
    for solid in (*_CONDYLES, _PATELLA, _PLATEAU, _trochanter(shape), _head(shape)):
        if (section := solid.section(z_mm, shrink_mm=end_mm)) is not None:
            out |= section.contains(u, v)
    return out | _neck(shape, u, v, z_mm, end_mm)


def _shafts(shape: LegShape, z_mm: float) -> list[tuple[tuple[float, float], float]]:
    """Centre (u, v) and radius of the shafts that a plane cuts: the femur's, or the tibia's and the fibula's."""
    if _FEMUR_RADIUS[0][0] < z_mm < shape.femur_z_mm[1] - 50:
        return [_femur_shaft(shape, z_mm)]
    if z_mm < _TIBIA_RADIUS[-1][0]:
        down = z_mm / -shape.tibia_length_mm
        return [_tibia_shaft(shape, z_mm), ((26 - 7 * down, 12 - 4 * down), 6.5)]
    return []


def _femur_shaft(shape: LegShape, z_mm: float) -> tuple[tuple[float, float], float]:
    top = shape.femur_z_mm[1]
    at, radii = zip(*_FEMUR_RADIUS, (top - 90, 14), (top - 60, 17), strict=True)
    # The shaft bows forward and runs away from the midline upwards.
    share = z_mm / shape.femur_length_mm
    u, v = (float(np.interp(share, (0.1, 0.5, 0.85), values)) for values in ((0, 4, 10), (2, -5, 0)))
    return (u, v), float(np.interp(z_mm, at, radii))


def _tibia_shaft(shape: LegShape, z_mm: float) -> tuple[tuple[float, float], float]:
    bottom = -shape.tibia_length_mm
    at, radii = zip((bottom, 17), (bottom + 40, 12.5), *_TIBIA_RADIUS, strict=True)
    u, v = (float(np.interp(z_mm, (bottom, -120, -30), values)) for values in ((-6, -8, -3), (-6, -20, -6)))
    return (u, v), float(np.interp(z_mm, at, radii))


def _trochanter(shape: LegShape) -> Solid:
    return Solid((14, 4, shape.femur_z_mm[1] - 48), (20, 20, 32))


def _head(shape: LegShape) -> Solid:
    return Solid((-34, -4, shape.femur_z_mm[1] - 23), (23, 23, 23))


def _neck(shape: LegShape, u: FloatArray, v: FloatArray, z_mm: float, shrink_mm: float) -> BoolArray:
    """A round rod of 28 mm from the trochanter to the middle of the head."""
    top = shape.femur_z_mm[1]
    if not top - 80 < z_mm < top:
        return np.zeros(u.shape, dtype=np.bool_)
    start, end = np.array((10.0, 0.0, top - 52)), np.array((-34.0, -4.0, top - 23))
    axis = end - start
    offsets = np.stack([u - start[0], v - start[1], np.full(u.shape, z_mm - start[2])], axis=-1)
    along = np.clip(offsets @ axis / (axis @ axis), 0, 1)
    inside: BoolArray = ((offsets - along[:, None] * axis) ** 2).sum(axis=-1) < (14 - shrink_mm) ** 2
    return inside
