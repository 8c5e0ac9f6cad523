"""Described segments: what a SEG says of its segments, and a structure set of its ROIs, as core segments.

Codes are taken as they are, of whatever scheme: who reads the report knows them from the object.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom.multival import MultiValue
from pydicom.sr.coding import Code

from operators.core import codes
from operators.core.header import PARSE_ERRORS, read_numbers, read_text, read_value
from operators.core.identity import derived_uid
from operators.core.label_map import Segment, SegmentOrigin
from operators.core.modality import padding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

GREY = (128, 128, 128)
LO_LENGTH = 64
"""Longest Long String (PS3.5 6.2)."""
LATERALITIES = frozenset({
    ("7771000", "SCT"), ("24028007", "SCT"), ("51440002", "SCT"), ("66459002", "SCT"),
    ("G-A101", "SRT"), ("G-A100", "SRT"), ("G-A102", "SRT"), ("G-A103", "SRT"),
})  # fmt: skip
"""Left, right, both, one side (PS3.16 CID 244), and what they were called before 2020."""
ALGORITHM_TYPES = frozenset({"AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"})


@dataclass(frozen=True)
class Anatomy:
    """Codes of one segment.

    Attributes:
        category: Segmented Property Category.
        type: Segmented Property Type.
        region: Anatomic Region, None where it has none.
        modifiers: Of the region, then of the type.
    """

    category: Code
    type: Code
    region: Code | None
    modifiers: tuple[Code, ...]


def segments_of(header: Dataset) -> tuple[Segment, ...]:
    """Segments of a SEG (PS3.3 C.8.20.4), in their order; the background is none."""
    background = background_of(header)
    return tuple(
        _segment(item, header)
        for item in items_of(header, "SegmentSequence")
        if _number(item, "SegmentNumber") != background
    )


def background_of(header: Dataset) -> int:
    """Number of a SEG's background: Pixel Padding Value (0028,0120) of a label map (PS3.3 C.8.20.2), else 0."""
    padding = padding_of(header, signed=False)
    return 0 if padding is None or read_text(header, "SegmentationType") != "LABELMAP" else padding[0]


def rois_of(header: Dataset) -> tuple[Segment, ...]:
    """ROIs of an RT Structure Set (PS3.3 C.8.8.5, C.8.8.8), in their order."""
    observations = {
        _number(item, "ReferencedROINumber"): item for item in items_of(header, "RTROIObservationsSequence")
    }
    colours = {_number(item, "ReferencedROINumber"): item for item in items_of(header, "ROIContourSequence")}
    return tuple(
        _roi(item, observations.get(number), colours.get(number), header)
        for item in items_of(header, "StructureSetROISequence")
        for number in [_number(item, "ROINumber")]
    )


def with_names_of_their_own(segments: Iterable[Segment]) -> Iterator[str]:
    """A name for each segment, from its label; where labels are the same, a number is added."""
    taken: set[str] = set()
    for segment in segments:
        plain = re.sub("[^a-z0-9]+", "_", segment.label.lower()).strip("_") or "segment"
        name = next(
            name for count in itertools.count(1) if (name := plain if count == 1 else f"{plain}_{count}") not in taken
        )
        taken.add(name)
        yield name


def _segment(item: Dataset, header: Dataset) -> Segment:
    number = _number(item, "SegmentNumber")
    label = _label(item, "SegmentLabel") or f"Segment {number}"
    origin = _origin(item, header, number, label)
    return _described(number, label, _anatomy(item, "SegmentedPropertyTypeCodeSequence"), origin)


def _origin(item: Dataset, header: Dataset, number: int, label: str) -> SegmentOrigin:
    kind = read_text(item, "SegmentAlgorithmType")
    return SegmentOrigin(
        *_tracking(item, header, number, label),
        kind if kind in ALGORITHM_TYPES else "",
        _line(read_text(item, "SegmentAlgorithmName")),
    )


def _roi(item: Dataset, observation: Dataset | None, contours: Dataset | None, header: Dataset) -> Segment:
    number = _number(item, "ROINumber")
    label = _label(item, "ROIName") or f"ROI {number}"
    kind = read_text(item, "ROIGenerationAlgorithm")
    origin = SegmentOrigin(
        *_tracking(item, header, number, label),
        kind if kind in ALGORITHM_TYPES else "",
        _line(read_text(item, "ROIGenerationDescription")) or "not named by the structure set",
    )
    anatomy = _anatomy(observation, "RTROIIdentificationCodeSequence")
    return _described(number, label, anatomy, origin, _colour_of(contours))


def _colour_of(contours: Dataset | None) -> tuple[int, int, int]:
    """ROI Display Color (3006,002A); grey where it is none."""
    colour = None if contours is None else read_numbers(contours, "ROIDisplayColor")
    if colour is None or colour.shape != (3,) or not ((colour >= 0) & (colour <= 255)).all():
        return GREY
    red, green, blue = map(int, colour)
    return red, green, blue


def _label(item: Dataset, keyword: str) -> str:
    """A label as a Long String takes it; a backslash, which separates values (PS3.5 6.2), becomes a stroke."""
    value = read_value(item, keyword)
    if isinstance(value, MultiValue):
        return _line("/".join(map(str, value)))
    return _line(read_text(item, keyword))


def _line(text: str) -> str:
    """A text as a Long String takes it: others write more, and several lines, where the standard has neither."""
    return " ".join(text.split())[:LO_LENGTH]


def _tracking(item: Dataset, header: Dataset, number: int, label: str) -> tuple[str, str]:
    """Tracking ID and UID; where there are none, such as follow from the object: a later run has the same ones."""
    identifier, uid = read_text(item, "TrackingID"), read_text(item, "TrackingUID")
    if identifier and uid:
        return identifier, uid
    return label, derived_uid(f"tracking/{read_text(header, 'SOPInstanceUID')}/{number}")


def _described(
    number: int, label: str, anatomy: Anatomy, origin: SegmentOrigin, colour: tuple[int, int, int] = GREY
) -> Segment:
    sides = [code for code in anatomy.modifiers if (code.value, code.scheme_designator) in LATERALITIES]
    others = [code for code in anatomy.modifiers if code not in sides]
    origin = SegmentOrigin(
        origin.tracking_id,
        origin.tracking_uid,
        origin.algorithm_type,
        origin.algorithm_name,
        others[0] if others and anatomy.region else None,
    )
    return Segment(
        number,
        f"segment_{number}",
        label,
        (number,),
        anatomy.category,
        anatomy.type,
        colour,
        anatomy.region,
        sides[0] if sides else None,
        origin,
    )


def _anatomy(item: Dataset | None, type_keyword: str) -> Anatomy:
    """Codes of a segment or ROI; a selected region where it has none."""
    kind, region = _first(item, type_keyword), _first(item, "AnatomicRegionSequence")
    modifiers = (
        *_codes(region, "AnatomicRegionModifierSequence"),
        *_codes(kind, "SegmentedPropertyTypeModifierCodeSequence"),
    )
    return Anatomy(
        _code(_first(item, "SegmentedPropertyCategoryCodeSequence")) or codes.SPATIAL_CONCEPT,
        _code(kind) or codes.SELECTED_REGION,
        _code(region),
        modifiers,
    )


def _codes(item: Dataset | None, keyword: str) -> list[Code]:
    return [] if item is None else [code for below in items_of(item, keyword) if (code := _code(below)) is not None]


def _code(item: Dataset | None) -> Code | None:
    """A code triplet with its version (PS3.3 8.1 to 8.3); None where it is incomplete."""
    if item is None:
        return None
    value = next((v for k in ("CodeValue", "LongCodeValue", "URNCodeValue") if (v := read_text(item, k))), "")
    scheme, meaning = read_text(item, "CodingSchemeDesignator"), read_text(item, "CodeMeaning")
    if not value or not scheme or not meaning:
        return None
    return Code(value, scheme, meaning[:LO_LENGTH], read_text(item, "CodingSchemeVersion") or None)


def _first(item: Dataset | None, keyword: str) -> Dataset | None:
    return None if item is None else next(iter(items_of(item, keyword)), None)


def items_of(item: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; none where it is absent or cannot be read."""
    try:
        return list(item.get(keyword) or [])
    except PARSE_ERRORS:
        return []


def _number(item: Dataset, keyword: str) -> int:
    value = read_value(item, keyword)
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 0
