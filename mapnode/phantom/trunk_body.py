"""Trunk body: how one trunk differs from the one that `mapnode.phantom.anatomy` describes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mapnode.phantom.shapes import Plane


@dataclass(frozen=True)
class TrunkBody:
    """Factors on the lengths of the anatomy; of the trunk that is described there all are 1.

    Attributes:
        width: Of everything, left to right.
        depth: Of everything, front to back.
        height: Of everything along z: vertebrae, ribs, the waist.
        fat: Of the fat between skin and fascia. The skin itself is as thick in everybody.
        wall: Of the muscle between fascia and cavity.
    """

    width: float = 1.0
    depth: float = 1.0
    height: float = 1.0
    fat: float = 1.0
    wall: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no body.

        Raises:
            ValueError: If a factor is not positive.
        """
        if min(self.width, self.depth, self.height, self.fat, self.wall) <= 0:
            raise ValueError(f"factors of a body are above 0, got {self}")

    def in_anatomy(self, plane: Plane) -> Plane:
        """Bring a plane of this body to the lengths of the anatomy."""
        return Plane(plane.x_mm / self.width, plane.y_mm / self.depth, plane.z_mm / self.height)


REFERENCE = TrunkBody()
"""The trunk that the anatomy describes."""


def random_trunk_body(rng: np.random.Generator) -> TrunkBody:
    """Draw a trunk: from small to large, from lean to stout, its wall from thin to strong.

    Args:
        rng: Source of chance; equal states give equal bodies.

    Returns:
        The body: without its fat 245 to 330 mm wide, the fat at its flanks 14 to 50 mm.
    """
    size = float(rng.uniform(0.9, 1.1))
    width, depth, height = (size * float(factor) for factor in rng.uniform(0.95, 1.05, size=3))
    return TrunkBody(width, depth, height, fat=float(rng.uniform(0.5, 1.7)), wall=float(rng.uniform(0.85, 1.3)))
