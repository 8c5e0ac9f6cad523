"""Measurements: numbers with their names, units and codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

LARGEST_AREA = "largest_area"
"""Role of the slice in which a segment has its largest area."""


def rounded(value: float) -> float:
    """A number with the digits that results state: 10 significant ones, the same in result.json and in the SR.

    A Decimal String has 16 characters (PS3.5 6.2): sign, point and exponent leave room for 10 digits.

    Examples:
        >>> rounded(1 / 3)
        0.3333333333
    """
    return float(f"{value:.10g}")


@dataclass(frozen=True)
class Quantity:
    """What is measured, once for JSON and once for the SR.

    Attributes:
        name: Key in result.json, with the unit in the name, snake case.
        unit: Unit in result.json, as people write it.
        concept: Concept name of the NUM content item.
        ucum: Unit of the NUM content item (UCUM).
        derivation: Derivation modifier (121401, DCM), where the concept needs one.
        definition: How it is computed, where its code leaves that open: the report says it as an equation.
    """

    name: str
    unit: str
    concept: Code
    ucum: Code
    derivation: Code | None = None
    definition: str = ""


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
        left_cm2: What of it lies on the patient's left of the midline, of the segments whose sides are measured.
        right_cm2: The rest of it.
    """

    index: int
    sop_instance_uid: str
    position_mm: float
    area_cm2: dict[str, float]
    left_cm2: dict[str, float] = field(default_factory=dict)
    right_cm2: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class KeySlice:
    """The numbers of one segment in one slice that is worth looking at.

    Attributes:
        segment_name: Name of the segment in the label map.
        role: Why this slice: LARGEST_AREA, or the name of the landmark that lies in it.
        index: Index of the slice in the volume, from 0.
        sop_instance_uid: SOP Instance UID of the image.
        values: The measurements of the segment's pixels in this slice alone.
    """

    segment_name: str
    role: str
    index: int
    sop_instance_uid: str
    values: tuple[Measurement, ...]


class NotComputed(StrEnum):
    """Why a derived value was not computed."""

    NOT_FOUND = "not_found"
    """A segment, or one in the slice of the level, was not found."""
    NO_LEVEL = "no_level"
    """The level is not known."""
    NO_HEIGHT = "no_height"
    """The images do not say how tall the patient is."""
    IMPLAUSIBLE_HEIGHT = "implausible_height"
    """What the images say is no height of a person in metres, or they contradict each other."""


@dataclass(frozen=True)
class DerivedValue:
    """A number computed from other numbers of the result, or the reason why there is none.

    Attributes:
        quantity: What it is; its name is the key in result.json.
        label: What people call it.
        definition: How it is computed, as an equation in words.
        segment_names: Segments that it is computed from.
        value: The number; None where it was not computed.
        reason: Why it was not computed; empty where there is a value.
        reason_code: The same as a code, where there is one.
        level: Landmark in whose slice it is measured; None for the whole scan.
        side: Laterality (PS3.16 CID 244), where it is of one side.
    """

    quantity: Quantity
    label: str
    definition: str
    segment_names: tuple[str, ...]
    value: float | None
    reason: str = ""
    reason_code: NotComputed | None = None
    level: str | None = None
    side: Code | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError(f"{self.quantity.name}: either a value or the reason why there is none")
