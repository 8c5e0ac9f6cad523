"""Trunk tissues: the segments that the classical trunk engine finds, with their codes and colours."""

from __future__ import annotations

from operators.core import codes
from operators.core.label_map import Segment
from operators.segment.classical.trunk import TrunkTissue

TRUNK_SEGMENTS = (
    Segment(
        number=1,
        name="body",
        label="Body",
        labels=tuple(TrunkTissue),
        category=codes.ANATOMICAL_STRUCTURE,
        type=codes.ENTIRE_BODY,
        colour=(200, 200, 200),
    ),
    Segment(
        number=2,
        name="bone",
        label="Bone",
        labels=(TrunkTissue.BONE,),
        category=codes.TISSUE,
        type=codes.BONE,
        colour=(241, 214, 145),
    ),
    Segment(
        number=3,
        name="subcutaneous_fat",
        label="Subcutaneous fat",
        labels=(TrunkTissue.SAT,),
        category=codes.TISSUE,
        type=codes.SUBCUTANEOUS_TISSUE,
        colour=(86, 180, 233),
    ),
    Segment(
        number=4,
        name="visceral_fat",
        label="Visceral fat",
        labels=(TrunkTissue.VAT,),
        category=codes.TISSUE,
        type=codes.FAT,
        region=codes.ABDOMINAL_CAVITY,
        colour=(240, 228, 66),
    ),
    Segment(
        number=5,
        name="skeletal_muscle",
        label="Skeletal muscle",
        labels=(TrunkTissue.MUSCLE,),
        category=codes.TISSUE,
        type=codes.SKELETAL_MUSCLE,
        colour=(213, 94, 0),
    ),
)
"""Body takes in all tissues; the others exclude each other. Colours after Okabe and Ito, told apart by most eyes."""
