"""Leg tissues: the segments that the classical leg engine finds, with the codes and colours of the catalogue."""

from __future__ import annotations

from operators.core import catalogue
from operators.segment.classical.legs import RIGHT_LEG, LegTissue

LEG_TISSUES: dict[str, LegTissue] = {
    "bone": LegTissue.BONE,
    "subcutaneous_fat": LegTissue.SAT,
    "intermuscular_fat": LegTissue.IMAT,
    "skeletal_muscle": LegTissue.MUSCLE,
}
"""What the engine labels, by the catalogue's name of the tissue without a side."""

LEG_SEGMENTS = tuple(
    catalogue.segment(f"leg_{name}_{side}", label + first, (label + first,))
    for side, first in (("left", 0), ("right", RIGHT_LEG))
    for name, label in LEG_TISSUES.items()
)
"""Four tissues of the left leg, then those of the right one; they exclude each other."""
