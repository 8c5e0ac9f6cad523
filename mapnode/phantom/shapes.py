"""Shapes: the ovals, solids and tubes a phantom is made of, cut by axial planes.

Coordinates are millimetres in the patient's LPS system: x to the left, y to the back, z to the head. A plane is given
by the positions of its columns and rows; a shape answers with the box it fills there and a mask inside that box, so
that small organs cost little on a large plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Plane:
    """One axial plane, sampled at the crossings of columns and rows.

    Attributes:
        x_mm: Position of each column, increasing.
        y_mm: Position of each row, increasing.
        z_mm: Height of the plane.
    """

    x_mm: FloatArray
    y_mm: FloatArray
    z_mm: float


@dataclass(frozen=True)
class Cut:
    """What a plane sees of a shape: a box of the plane and the shape's points in that box."""

    rows: slice
    columns: slice
    inside: BoolArray

    def only(self, further: BoolArray) -> Cut:
        """Keep the points that also fulfil a condition on the box."""
        return replace(self, inside=self.inside & further)


def _box(hit: BoolArray) -> slice:
    found = np.flatnonzero(hit)
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def _power(ratio: FloatArray, exponent: float) -> FloatArray:
    squared: FloatArray = ratio * ratio
    return squared if exponent == 2.0 else squared ** (exponent / 2)


@dataclass(frozen=True)
class Oval:
    """Superellipse whose front and back halves may differ in depth.

    Attributes:
        centre_mm: x and y of the centre.
        half_width_mm: Half the width, left to right.
        half_front_mm: Depth of the half in front of the centre.
        half_back_mm: Depth of the half behind the centre.
        power: 2 is an ellipse, more is squarer.
    """

    centre_mm: tuple[float, float]
    half_width_mm: float
    half_front_mm: float
    half_back_mm: float
    power: float = 2.0

    def cut(self, plane: Plane) -> Cut:
        """Return the plane's points inside the oval (its edge is outside)."""
        across = _power((plane.x_mm - self.centre_mm[0]) / self.half_width_mm, self.power)
        below = plane.y_mm - self.centre_mm[1]
        along = _power(below / np.where(below < 0, self.half_front_mm, self.half_back_mm), self.power)
        rows, columns = _box(along < 1), _box(across < 1)
        return Cut(rows, columns, along[rows, None] + across[None, columns] < 1)

    def contains(self, x_mm: FloatArray, y_mm: FloatArray) -> BoolArray:
        """Which points, given by x and y, lie inside the oval (its edge is outside)."""
        below = y_mm - self.centre_mm[1]
        along = below / np.where(below < 0, self.half_front_mm, self.half_back_mm)
        across = (x_mm - self.centre_mm[0]) / self.half_width_mm
        inside: BoolArray = _power(across, self.power) + _power(along, self.power) < 1
        return inside

    def inset(self, sides_mm: float, front_mm: float, back_mm: float) -> Oval:
        """Move the outline inwards, by a distance of its own at the sides, in front and behind."""
        return replace(
            self,
            half_width_mm=self.half_width_mm - sides_mm,
            half_front_mm=self.half_front_mm - front_mm,
            half_back_mm=self.half_back_mm - back_mm,
        )

    def level(self, x_mm: FloatArray, y_mm: FloatArray) -> FloatArray:
        """Return the size of the similar oval through each point: 1 on the outline, less inside."""
        below = y_mm - self.centre_mm[1]
        along = below / np.where(below < 0, self.half_front_mm, self.half_back_mm)
        across = (x_mm - self.centre_mm[0]) / self.half_width_mm
        level: FloatArray = (_power(across, self.power) + _power(along, self.power)) ** (1 / self.power)
        return level

    def area_mm2(self) -> float:
        """Return the exact area.

        Examples:
            >>> round(Oval((0, 0), 10, 10, 10).area_mm2(), 3)
            314.159
        """
        corner = math.gamma(1 + 1 / self.power) ** 2 / math.gamma(1 + 2 / self.power)
        return 2 * corner * self.half_width_mm * (self.half_front_mm + self.half_back_mm)


@dataclass(frozen=True)
class Solid:
    """Body with an oval cross-section that swells and tapers along z, and may lean or sway.

    Attributes:
        centre_mm: x, y and z of the centre.
        half_mm: Half the size along x, y and z.
        power: Squareness of the cross-section.
        z_power: Squareness of the profile along z: 2 is an ellipsoid, 8 nearly a cylinder.
        lean: Shift of the cross-section in x and y for each mm of z.
        sway_mm: Amplitude of a wave of the centre line in x and y (x and y a quarter wave apart).
        sway_period_mm: Length of that wave along z.
    """

    centre_mm: tuple[float, float, float]
    half_mm: tuple[float, float, float]
    power: float = 2.0
    z_power: float = 2.0
    lean: tuple[float, float] = (0.0, 0.0)
    sway_mm: tuple[float, float] = (0.0, 0.0)
    sway_period_mm: float = 100.0

    def section(self, z_mm: float, shrink_mm: float = 0.0) -> Oval | None:
        """Return the cross-section at a height, or None above and below the solid.

        Args:
            z_mm: Height of the plane.
            shrink_mm: Take this off every half size, as for the inside of a wall.

        Returns:
            The oval, or None where the plane misses the solid.
        """
        width, depth, height = (half - shrink_mm for half in self.half_mm)
        above = z_mm - self.centre_mm[2]
        if min(width, depth, height) <= 0 or abs(above) >= height:
            return None
        taper = (1 - abs(above / height) ** self.z_power) ** (1 / self.z_power)
        phase = 2 * math.pi * z_mm / self.sway_period_mm + self.centre_mm[0]
        x = self.centre_mm[0] + self.lean[0] * above + self.sway_mm[0] * math.sin(phase)
        y = self.centre_mm[1] + self.lean[1] * above + self.sway_mm[1] * math.cos(phase)
        return Oval((x, y), width * taper, depth * taper, depth * taper, self.power)

    def mirrored(self) -> Solid:
        """Return the same solid on the other side of the midline (a sway keeps its own phase)."""
        (x, y, z), (lean_x, lean_y) = self.centre_mm, self.lean
        return replace(self, centre_mm=(-x, y, z), lean=(-lean_x, lean_y))


@dataclass(frozen=True)
class Arch:
    """Round tube across the body whose middle hangs in front of and below its ends, as the transverse colon does.

    Attributes:
        middle_mm: x, y and z of the middle of the centre line.
        half_span_mm: Half the width of the arch.
        rise_mm: How far the ends lie behind (y) and above (z) the middle.
        radius_mm: Radius of the tube, measured in planes of constant x.
    """

    middle_mm: tuple[float, float, float]
    half_span_mm: float
    rise_mm: tuple[float, float]
    radius_mm: float

    def cut(self, plane: Plane, shrink_mm: float = 0.0) -> Cut:
        """Return the plane's points inside the tube, whose wall may be taken off."""
        x, y, z = self.middle_mm
        span = ((plane.x_mm - x) / self.half_span_mm) ** 2
        radius = (self.radius_mm - shrink_mm) * np.sqrt(np.clip(1 - span**4, 0, None))
        half_chord_squared = radius**2 - (plane.z_mm - z - self.rise_mm[1] * span) ** 2
        columns = _box((half_chord_squared > 0) & (span < 1))
        from_centre = plane.y_mm[:, None] - (y + self.rise_mm[0] * span)[None, columns]
        return Cut(slice(0, plane.y_mm.size), columns, from_centre**2 < half_chord_squared[None, columns])


@dataclass(frozen=True)
class Rib:
    """Flat tube that follows an oval on both sides of the body and descends towards the front.

    Attributes:
        start_z_mm: Height of its hind end.
        start_degrees: Hind end, as an angle from the back's midline.
        end_degrees: Front end.
        half_height_mm: Half its height, square to its course.
        half_thickness_mm: Half its thickness through the wall.
        descent: Millimetres down for each millimetre along the wall.
        mean_radius_mm: Turns angles into lengths along the wall.
    """

    start_z_mm: float
    start_degrees: float
    end_degrees: float
    half_height_mm: float = 6.5
    half_thickness_mm: float = 4.5
    descent: float = 0.35
    mean_radius_mm: float = 115.0

    def range_mm(self) -> tuple[float, float]:
        """Return the lowest and the highest z the rib may reach."""
        course = math.radians(self.end_degrees - self.start_degrees) * self.mean_radius_mm
        reach = self.half_height_mm * math.hypot(1, self.descent)
        return self.start_z_mm - self.descent * course - reach, self.start_z_mm + reach

    def contains(
        self, oval: Oval, points_mm: tuple[FloatArray, FloatArray], z_mm: float
    ) -> tuple[BoolArray, BoolArray]:
        """Find the points inside the rib and those inside its marrow.

        Args:
            oval: Outline that the rib's centre line follows.
            points_mm: x and y of the points.
            z_mm: Their height.

        Returns:
            Inside the rib; inside its marrow, 1.5 mm below its surface.
        """
        x, y = points_mm
        level = oval.level(x, y)
        depth = (level - 1) / np.maximum(level, 0.1) * np.hypot(x, y)
        angle = np.arctan2(np.abs(x), y)
        along = np.clip(angle, math.radians(self.start_degrees), math.radians(self.end_degrees))
        course = (along - math.radians(self.start_degrees)) * self.mean_radius_mm
        up = (z_mm - self.start_z_mm + self.descent * course) / math.hypot(1, self.descent)
        beyond = (angle - along) * self.mean_radius_mm
        cortex_mm = 1.5
        inside = (up**2 + beyond**2) / self.half_height_mm**2 + (depth / self.half_thickness_mm) ** 2 < 1
        inner_height, inner_thickness = self.half_height_mm - cortex_mm, self.half_thickness_mm - cortex_mm
        marrow = (up**2 + beyond**2) / inner_height**2 + (depth / inner_thickness) ** 2 < 1
        return inside, marrow
