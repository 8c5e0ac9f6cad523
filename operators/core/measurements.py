"""Measurements: numbers with their names, units and codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.sr.coding import Code


@dataclass(frozen=True)
class Quantity:
    """What is measured, once for JSON and once for the SR.

    Attributes:
        name: Key in result.json, with the unit in the name, snake case.
        unit: Unit in result.json, as people write it.
        concept: Concept name of the NUM content item.
        ucum: Unit of the NUM content item (UCUM).
        derivation: Derivation modifier (121401, DCM), where the concept needs one.
    """

    name: str
    unit: str
    concept: Code
    ucum: Code
    derivation: Code | None = None


@dataclass(frozen=True)
class Measurement:
    """One number of one segment."""

    quantity: Quantity
    value: float


@dataclass(frozen=True)
class SegmentMeasurements:
    """All numbers of one segment.

    Attributes:
        segment_name: Name of the segment in the label map.
        voxels: Count of voxels; 0 means that the segment was looked for and not found.
        values: The measurements; of an empty segment its volume alone.
    """

    segment_name: str
    voxels: int
    values: tuple[Measurement, ...]


@dataclass(frozen=True)
class SliceAreas:
    """The cross-sections of one slice.

    Attributes:
        index: Index of the slice in the volume, from 0.
        sop_instance_uid: SOP Instance UID of the image.
        position_mm: Position along the normal of the slices, mm (for axial images the LPS z).
        area_cm2: Area of each segment, by segment name.
    """

    index: int
    sop_instance_uid: str
    position_mm: float
    area_cm2: dict[str, float]
