"""Trunk tissues: the segments that the classical trunk engine finds, with the codes and colours of the catalogue."""

from __future__ import annotations

from operators.core import catalogue
from operators.segment.classical.trunk import TrunkTissue

_LABELS: dict[str, tuple[TrunkTissue, ...]] = {
    "body": tuple(TrunkTissue),
    "bone": (TrunkTissue.BONE,),
    "subcutaneous_fat": (TrunkTissue.SAT,),
    "visceral_fat": (TrunkTissue.VAT,),
    "skeletal_muscle": (TrunkTissue.MUSCLE,),
    "intermuscular_fat": (TrunkTissue.IMAT,),
}

TRUNK_SEGMENTS = tuple(
    catalogue.segment(name, number, labels) for number, (name, labels) in enumerate(_LABELS.items(), start=1)
)
"""Body takes in all tissues; the others exclude each other."""
