"""Anatomy of the trunk phantom: which material lies at a point of the body.

The trunk runs from the upper abdomen to above the iliac crest; there is no pelvis, no lung, no arm. Lengths are those
of a grown body of medium build, rounded: lumbar vertebral bodies 47 mm wide, 34 mm deep and 26 mm high with discs of
9 mm, a canal of 23 x 16 mm, a lateral abdominal wall of 13 mm, rectus abdominis of 10 mm, kidneys 11 cm long, ribs of
13 x 9 mm. Attenuations are those of an unenhanced CT at 120 kV; muscle is brighter than in many patients.

Between the muscles of the back run two clefts of fat, 8 mm wide. What life has and this body has not: fat between the
layers of the wall and inside muscles, fat-valued marrow, costal cartilage, an umbilicus, renal sinus fat, a diaphragm.
Every edge is exact, so every volume is known.

The liver lies on the patient's right (low x) and the spleen on the left: a mirrored volume is seen at once. The waist
is narrowest at z = -40 mm and the ribs lie in the upper half: a volume upside down is seen as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from mapnode.phantom.shapes import Arch, Cut, FloatArray, Oval, Plane, Rib, Solid
from mapnode.phantom.trunk_body import REFERENCE, TrunkBody

Z_LIMIT_MM = 160.0
"""The anatomy is described for -160 mm <= z <= 160 mm."""


class PhantomTissue(IntEnum):
    """Exclusive tissues, numbered as the trunk segmentation numbers them."""

    OUTSIDE = 0
    OTHER = 1
    BONE = 2
    SUBCUTANEOUS_FAT = 3
    VISCERAL_FAT = 4
    SKELETAL_MUSCLE = 5
    INTERMUSCULAR_FAT = 6


class Material(IntEnum):
    """What the phantom is made of; two materials may look alike and still take organs differently."""

    AIR = 0
    FOAM = 1
    TABLE = 2
    SKIN = 3
    SUBCUTANEOUS_FAT = 4
    MUSCLE = 5
    PERITONEAL_FAT = 6
    VISCERAL_FAT = 7
    LINEA_ALBA = 8
    CORTICAL_BONE = 9
    SPONGY_BONE = 10
    RIB_CORTEX = 11
    RIB_MARROW = 12
    DISC = 13
    LIGAMENT = 14
    CANAL = 15
    BLOOD = 16
    LIVER = 17
    SPLEEN = 18
    KIDNEY = 19
    GUT_WALL = 20
    GUT_CONTENT = 21
    GUT_GAS = 22
    INTERMUSCULAR_FAT = 23


_PROPERTIES: dict[Material, tuple[int, PhantomTissue]] = {
    Material.AIR: (-1000, PhantomTissue.OUTSIDE),
    Material.FOAM: (-950, PhantomTissue.OUTSIDE),
    # As bright as soft tissue on purpose: a threshold alone must not be enough to take the table away.
    Material.TABLE: (40, PhantomTissue.OUTSIDE),
    Material.SKIN: (40, PhantomTissue.OTHER),
    Material.SUBCUTANEOUS_FAT: (-105, PhantomTissue.SUBCUTANEOUS_FAT),
    Material.MUSCLE: (55, PhantomTissue.SKELETAL_MUSCLE),
    Material.PERITONEAL_FAT: (-100, PhantomTissue.VISCERAL_FAT),
    Material.VISCERAL_FAT: (-100, PhantomTissue.VISCERAL_FAT),
    Material.LINEA_ALBA: (50, PhantomTissue.OTHER),
    Material.CORTICAL_BONE: (700, PhantomTissue.BONE),
    Material.SPONGY_BONE: (180, PhantomTissue.BONE),
    Material.RIB_CORTEX: (600, PhantomTissue.BONE),
    Material.RIB_MARROW: (150, PhantomTissue.BONE),
    Material.DISC: (80, PhantomTissue.OTHER),
    Material.LIGAMENT: (45, PhantomTissue.OTHER),
    Material.CANAL: (25, PhantomTissue.OTHER),
    Material.BLOOD: (40, PhantomTissue.OTHER),
    Material.LIVER: (60, PhantomTissue.OTHER),
    Material.SPLEEN: (48, PhantomTissue.OTHER),
    Material.KIDNEY: (32, PhantomTissue.OTHER),
    Material.GUT_WALL: (40, PhantomTissue.OTHER),
    Material.GUT_CONTENT: (20, PhantomTissue.OTHER),
    Material.GUT_GAS: (-900, PhantomTissue.OTHER),
    Material.INTERMUSCULAR_FAT: (-95, PhantomTissue.INTERMUSCULAR_FAT),
}

HU_OF_MATERIAL: NDArray[np.int16] = np.array([_PROPERTIES[material][0] for material in Material], dtype=np.int16)
TISSUE_OF_MATERIAL: NDArray[np.uint8] = np.array([_PROPERTIES[material][1] for material in Material], dtype=np.uint8)

_CAVITY = (Material.VISCERAL_FAT,)
_FAT_INSIDE = (Material.VISCERAL_FAT, Material.PERITONEAL_FAT)
_AROUND_SPINE = (*_FAT_INSIDE, Material.MUSCLE)


@dataclass(frozen=True)
class _Gut:
    """A hollow organ: wall, content, and gas in front of a level (the patient lies on the back)."""

    solid: Solid
    wall_mm: float = 2.5
    gas_front_of_mm: float | None = None


_MUSCLE_COLUMNS = (
    # Erector spinae and quadratus lumborum of both sides: one block that the vertebrae are set into.
    Solid((0, 68, 0), (66, 24, 400), power=2.6, z_power=8),
    # Psoas: begins at z = 65 mm and grows downwards, away from the midline.
    (_psoas := Solid((39, 31, -120), (17, 21, 185), lean=(-0.054, 0.065))),
    _psoas.mirrored(),
)
# Between multifidus and longissimus: upright clefts that muscle encloses.
_MUSCLE_CLEFTS = (
    (_cleft := Solid((22, 74, 0), (4, 10, 400), z_power=8, sway_mm=(1, 1), sway_period_mm=85)),
    _cleft.mirrored(),
)
# Aorta, vena cava and kidneys lie in fat of their own, which the organs in front of them do not reach into.
_PRERENAL_FAT = Solid((-4, 42, -100), (76, 46, 192), power=2.3, z_power=5)
_PERIRENAL_FAT_MM = 4.0
_RETROPERITONEAL: tuple[tuple[Material, Solid], ...] = (
    (Material.BLOOD, Solid((9, 6, 0), (10, 10, 400), z_power=8, sway_mm=(1.5, 0), sway_period_mm=300)),
    (Material.BLOOD, Solid((-20, 8, 0), (12.5, 9, 400), z_power=8, lean=(0.02, 0))),
    (Material.KIDNEY, Solid((66, 20, 38), (27, 22, 56), lean=(-0.12, 0.08))),
    (Material.KIDNEY, Solid((-63, 22, 22), (27, 22, 55), lean=(0.12, 0.08))),
)
_ORGANS: tuple[tuple[Material, Solid], ...] = (
    (Material.LIVER, Solid((-62, -22, 84), (92, 68, 104), power=2.2, z_power=2.4, lean=(0.15, 0))),
    (Material.SPLEEN, Solid((104, 22, 82), (32, 46, 56), lean=(-0.05, 0.05))),
)
_GUTS = (
    _Gut(Solid((58, -42, 82), (46, 34, 52), lean=(0.2, 0.1)), wall_mm=4, gas_front_of_mm=-56),
    _Gut(Solid((-99, -8, -150), (24, 25, 152), z_power=8, sway_mm=(4, 3), sway_period_mm=75), gas_front_of_mm=-16),
    _Gut(Solid((110, 12, -150), (16, 17, 192), z_power=8, sway_mm=(3, 4), sway_period_mm=90), gas_front_of_mm=6),
    _Gut(Solid((-58, -50, -150), (19, 17, 140), z_power=8, sway_mm=(8, 9), sway_period_mm=85), gas_front_of_mm=-55),
    _Gut(Solid((-18, -58, -150), (18, 16, 128), z_power=8, sway_mm=(7, 8), sway_period_mm=100)),
    _Gut(Solid((23, -52, -150), (17, 19, 128), z_power=8, sway_mm=(9, 8), sway_period_mm=70), gas_front_of_mm=-60),
    _Gut(Solid((66, -46, -150), (19, 17, 142), z_power=8, sway_mm=(8, 9), sway_period_mm=95)),
    _Gut(Solid((-34, -20, -150), (17, 15, 150), z_power=8, sway_mm=(7, 5), sway_period_mm=80)),
    _Gut(Solid((36, -18, -150), (18, 16, 160), z_power=8, sway_mm=(6, 5), sway_period_mm=110)),
    _Gut(Solid((76, -10, -150), (14, 14, 150), z_power=8, sway_mm=(5, 6), sway_period_mm=65)),
)
_TRANSVERSE_COLON = Arch((2, -64, -8), half_span_mm=108, rise_mm=(34, 26), radius_mm=19)
_RIBS = (Rib(52, 27, 60), Rib(82, 27, 98), Rib(112, 27, 128))

_VERTEBRA_PERIOD_MM = 35.0
_VERTEBRA_TILT = 0.15
_BODY_HALF_HEIGHT_MM = 13.2
_CORTEX_MM = 2.0
_VERTEBRAL_BODY = Oval((0, 33), 23.5, 17, 17, power=2.4)
_CANAL = Oval((0, 59), 11.5, 8, 8)
_ARCH = Oval((0, 59), 16.5, 9, 13)
_PEDICLES = (Oval((15, 52), 5, 7, 7), Oval((-15, 52), 5, 7, 7))
_TRANSVERSE_PROCESSES = (Oval((26, 56), 15, 3.5, 3.5, power=3), Oval((-26, 56), 15, 3.5, 3.5, power=3))
_SPINOUS_PROCESS = Oval((0, 77), 3.5, 9.5, 9.5, power=3)


@dataclass(frozen=True)
class Outlines:
    """The nested ovals of the wall at one height.

    Attributes:
        body: Outer surface of the skin.
        under_skin: Inner surface of the skin.
        fascia: Outer surface of the muscles.
        cavity: Inner surface of the wall.
        organs: Limit of the organs: inside the cavity but at the flanks, where organs touch the wall.
    """

    body: Oval
    under_skin: Oval
    fascia: Oval
    cavity: Oval
    organs: Oval


def outlines_at(z_mm: float, body: TrunkBody = REFERENCE) -> Outlines:
    """Return the wall's outlines: 344 x 234 mm, with a waist at z = -40 mm and the belly rising towards the head."""
    waist = 1 - 0.05 * math.exp(-(((z_mm + 40) / 60) ** 2))
    belly = 1 + 0.04 * math.tanh(z_mm / 80)
    usual = Oval((0, 0), 172 * waist, 118 * belly, 116, power=2.4)
    fascia = usual.inset(28, 18, 26)
    skin = usual.inset(*(mm * (1 - body.fat) for mm in (28, 18, 26)))
    cavity = fascia.inset(*(mm * body.wall for mm in (13, 10, 20)))
    under_skin = skin.inset(2 / body.width, 2 / body.depth, 2 / body.depth)
    return Outlines(skin, under_skin, fascia, cavity, cavity.inset(-2, 3, 3))


class _Painter:
    """Paints shapes on one plane; later shapes cover only the materials they are told to."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self.material: NDArray[np.uint8] = np.zeros((plane.y_mm.size, plane.x_mm.size), dtype=np.uint8)

    def paint(self, material: Material, cut: Cut, onto: tuple[Material, ...] | None = None) -> Cut:
        """Paint a cut and return the part of it that was covered."""
        view = self.material[cut.rows, cut.columns]
        if onto is not None:
            allowed = np.zeros(len(Material), dtype=np.bool_)
            allowed[list(onto)] = True
            cut = cut.only(allowed[view])
        view[cut.inside] = material
        return cut


def _height_mm(plane: Plane) -> FloatArray:
    """Height of each row along the spine, as if no vertebra were tilted."""
    return plane.z_mm + _VERTEBRA_TILT * (plane.y_mm - _VERTEBRAL_BODY.centre_mm[1])


def vertebra_numbers(plane: Plane) -> NDArray[np.int64]:
    """Say for each row of a plane which vertebra is nearest: 0 at z = 0, growing towards the head, `(rows,)`."""
    return np.floor(_height_mm(plane) / _VERTEBRA_PERIOD_MM + 0.5).astype(np.int64)


class _VertebralLevels:
    """Height of a plane's rows above the middle of the nearest vertebra; vertebrae tilt, their backs are lower."""

    def __init__(self, plane: Plane) -> None:
        self._from_middle_mm: FloatArray = _height_mm(plane) - vertebra_numbers(plane) * _VERTEBRA_PERIOD_MM

    def within(self, cut: Cut, half_height_mm: float, above_mm: float = 0.0) -> Cut:
        """Keep the rows of a cut that lie inside a part of the vertebra.

        Args:
            cut: Outline of the part.
            half_height_mm: Half the part's height.
            above_mm: Height of its middle above that of the vertebra.

        Returns:
            The cut, empty where the plane passes above or below the part.
        """
        return cut.only(np.abs(self._from_middle_mm[cut.rows, None] - above_mm) < half_height_mm)


def material_plane(plane: Plane, *, table: bool, body: TrunkBody = REFERENCE) -> NDArray[np.uint8]:
    """Say for every point of a plane which material lies there.

    Args:
        plane: The points, in mm.
        table: Put the body on foam and a table.
        body: Whose trunk it is.

    Returns:
        A `Material` number per point, `(rows, columns)`.
    """
    painter = _Painter(body.in_anatomy(plane))
    outlines = outlines_at(painter.plane.z_mm, body)
    if table:
        _paint_table(painter, outlines)
    _paint_wall(painter, outlines)
    _paint_spine(painter)
    for cleft in _MUSCLE_CLEFTS:
        _paint_solid(painter, Material.INTERMUSCULAR_FAT, cleft, onto=(Material.MUSCLE,))
    _paint_organs(painter)
    _paint_ribs(painter, outlines)
    return painter.material


def _paint_table(painter: _Painter, outlines: Outlines) -> None:
    """Foam of 6 mm or more under the back, on a cradle of 4 mm."""
    x, y = painter.plane.x_mm[None, :], painter.plane.y_mm[:, None]
    whole = (slice(0, y.size), slice(0, x.size))
    below = y - (outlines.body.half_back_mm + 6 - x**2 / 700)
    painter.paint(Material.FOAM, Cut(*whole, (np.abs(x) < 150) & (below < 0) & (y > 60)))
    painter.paint(Material.TABLE, Cut(*whole, (np.abs(x) < 180) & (below >= 0) & (below < 4)))


def _paint_wall(painter: _Painter, outlines: Outlines) -> None:
    """Skin, fat below it, the ring of muscle, the cavity, and the linea alba with fat behind it."""
    plane = painter.plane
    painter.paint(Material.SKIN, outlines.body.cut(plane))
    painter.paint(Material.SUBCUTANEOUS_FAT, outlines.under_skin.cut(plane))
    painter.paint(Material.MUSCLE, outlines.fascia.cut(plane))
    painter.paint(Material.PERITONEAL_FAT, outlines.cavity.cut(plane))
    painter.paint(Material.VISCERAL_FAT, outlines.organs.cut(plane), onto=(Material.PERITONEAL_FAT,))
    for solid in _MUSCLE_COLUMNS:
        _paint_solid(painter, Material.MUSCLE, solid, onto=_FAT_INSIDE)
    front = outlines.fascia.half_front_mm
    painter.paint(Material.LINEA_ALBA, Oval((0, -front), 7, 20, 20, power=8).cut(plane), onto=(Material.MUSCLE,))
    painter.paint(
        Material.PERITONEAL_FAT, Oval((0, -front + 16), 8, 12, 12, power=8).cut(plane), onto=(Material.LINEA_ALBA,)
    )


def _paint_spine(painter: _Painter) -> None:
    """One vertebra and one disc for every 35 mm; the canal runs through."""
    plane = painter.plane
    bone = _VertebralLevels(plane)
    onto_arch = (*_AROUND_SPINE, Material.LIGAMENT)
    body, inner = _VERTEBRAL_BODY.cut(plane), _VERTEBRAL_BODY.inset(_CORTEX_MM, _CORTEX_MM, _CORTEX_MM).cut(plane)
    painter.paint(Material.DISC, body, onto=_AROUND_SPINE)
    painter.paint(Material.CORTICAL_BONE, bone.within(body, _BODY_HALF_HEIGHT_MM), onto=(Material.DISC,))
    painter.paint(
        Material.SPONGY_BONE, bone.within(inner, _BODY_HALF_HEIGHT_MM - _CORTEX_MM), onto=(Material.CORTICAL_BONE,)
    )
    arch = _ARCH.cut(plane)
    painter.paint(Material.LIGAMENT, arch, onto=_AROUND_SPINE)
    painter.paint(Material.CORTICAL_BONE, bone.within(arch, 12), onto=onto_arch)
    for oval in _PEDICLES:
        painter.paint(Material.CORTICAL_BONE, bone.within(oval.cut(plane), 7, above_mm=5), onto=onto_arch)
    for oval in _TRANSVERSE_PROCESSES:
        painter.paint(Material.CORTICAL_BONE, bone.within(oval.cut(plane), 5, above_mm=4), onto=onto_arch)
    spinous_process = bone.within(_SPINOUS_PROCESS.cut(plane), 9, above_mm=-4)
    painter.paint(Material.CORTICAL_BONE, spinous_process, onto=onto_arch)
    painter.paint(Material.CANAL, _CANAL.cut(plane))


def _paint_organs(painter: _Painter) -> None:
    """Organs take what is left of the cavity, the first painted first."""
    plane = painter.plane
    _paint_solid(painter, Material.PERITONEAL_FAT, _PRERENAL_FAT, onto=_CAVITY)
    for _, solid in _RETROPERITONEAL:
        _paint_solid(painter, Material.PERITONEAL_FAT, solid, onto=_CAVITY, grown_mm=_PERIRENAL_FAT_MM)
    for material, solid in _RETROPERITONEAL:
        _paint_solid(painter, material, solid, onto=_FAT_INSIDE)
    for material, solid in _ORGANS:
        _paint_solid(painter, material, solid, onto=_CAVITY)
    for gut in _GUTS:
        _paint_gut(painter, gut)
    wall = painter.paint(Material.GUT_WALL, _TRANSVERSE_COLON.cut(plane), onto=_CAVITY)
    _fill_gut(painter, wall, _TRANSVERSE_COLON.cut(plane, shrink_mm=3), gas_front_of_mm=-66)


def _paint_solid(
    painter: _Painter, material: Material, solid: Solid, *, onto: tuple[Material, ...], grown_mm: float = 0.0
) -> None:
    if (section := solid.section(painter.plane.z_mm, shrink_mm=-grown_mm)) is not None:
        painter.paint(material, section.cut(painter.plane), onto=onto)


def _paint_gut(painter: _Painter, gut: _Gut) -> None:
    plane = painter.plane
    outer = gut.solid.section(plane.z_mm)
    inner = gut.solid.section(plane.z_mm, shrink_mm=gut.wall_mm)
    if outer is None:
        return
    wall = painter.paint(Material.GUT_WALL, outer.cut(plane), onto=_CAVITY)
    if inner is not None:
        _fill_gut(painter, wall, inner.cut(plane), gut.gas_front_of_mm)


def _fill_gut(painter: _Painter, wall: Cut, inner: Cut, gas_front_of_mm: float | None) -> None:
    """Fill a gut's inside where its own wall was painted, so that it takes nothing from its neighbours."""
    own = np.zeros(painter.material.shape, dtype=np.bool_)
    own[wall.rows, wall.columns] = wall.inside
    content = inner.only(own[inner.rows, inner.columns])
    painter.paint(Material.GUT_CONTENT, content)
    if gas_front_of_mm is not None:
        painter.paint(Material.GUT_GAS, content.only(painter.plane.y_mm[inner.rows, None] < gas_front_of_mm))


def _paint_ribs(painter: _Painter, outlines: Outlines) -> None:
    """Ribs lie inside the wall's muscle and nowhere else."""
    plane = painter.plane
    follows = outlines.cavity.inset(-6.5, -5, -8)
    for rib in _RIBS:
        low, high = rib.range_mm()
        if not low < plane.z_mm < high:
            continue
        rows, columns = np.nonzero(painter.material == Material.MUSCLE)
        inside, marrow = rib.contains(follows, (plane.x_mm[columns], plane.y_mm[rows]), plane.z_mm)
        painter.material[rows[inside], columns[inside]] = Material.RIB_CORTEX
        painter.material[rows[marrow], columns[marrow]] = Material.RIB_MARROW
