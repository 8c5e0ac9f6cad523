"""Report checks: the content tree of an SR document, and TID 1500 where a report says that it is one.

Relations and value types are those of the Comprehensive 3D SR IOD (PS3.3 A.35.13.3.1.2), which has what the other SR
IODs have; templates are those of PS3.16. Concepts, and what a template leaves open, are not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from operators.core.header import attribute, read_text
from operators.core.segmentation_checks import is_code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from operators.core.items import Item, PlainObject

COMPREHENSIVE_3D_SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.34"
KEY_OBJECT_STORAGE = "1.2.840.10008.5.1.4.1.1.88.59"
REPORTS = frozenset({
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    COMPREHENSIVE_3D_SR_STORAGE,
})
"""Basic Text, Enhanced, Comprehensive and Comprehensive 3D SR."""
EVIDENCE_KEYWORDS = ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
MEASUREMENT_REPORT, PLANAR_GROUP, VOLUMETRIC_GROUP = "1500", "1410", "1411"

VALUES = frozenset({"TEXT", "CODE", "NUM", "DATETIME", "DATE", "TIME", "UIDREF", "PNAME"})
OBJECTS = frozenset({"COMPOSITE", "IMAGE", "WAVEFORM"})
PLACES = frozenset({"SCOORD", "SCOORD3D", "TCOORD"})
ALL = VALUES | OBJECTS | PLACES
TARGETS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "CONTAINS": (frozenset({"CONTAINER"}), ALL | {"CONTAINER"}),
    "HAS OBS CONTEXT": (ALL | {"CONTAINER"}, VALUES | {"COMPOSITE"}),
    "HAS ACQ CONTEXT": (OBJECTS | {"CONTAINER", "NUM"}, VALUES | {"CONTAINER"}),
    "HAS CONCEPT MOD": (ALL | {"CONTAINER"}, frozenset({"TEXT", "CODE"})),
    "HAS PROPERTIES": (frozenset({"TEXT", "CODE", "NUM"}), ALL | {"CONTAINER"}),
    "INFERRED FROM": (frozenset({"TEXT", "CODE", "NUM"}), ALL | {"CONTAINER"}),
    "SELECTED FROM": (PLACES, OBJECTS | PLACES),
}
"""Value types that may be above and below a relationship (PS3.3 table A.35.13-2)."""
NAMED = VALUES
"""Value types that have a concept name in any case (PS3.3 C.17.3)."""
REQUIRED = {
    "TEXT": ("TextValue",),
    "DATETIME": ("DateTime",),
    "DATE": ("Date",),
    "TIME": ("Time",),
    "UIDREF": ("UID",),
    "PNAME": ("PersonName",),
    "SCOORD": ("GraphicType", "GraphicData"),
    "SCOORD3D": ("GraphicType", "GraphicData", "ReferencedFrameOfReferenceUID"),
    "TCOORD": ("TemporalRangeType",),
    "CONTAINER": ("ContinuityOfContent",),
}
"""What a content item has by its value type (PS3.3 C.18)."""

Concept = tuple[str, str]
LANGUAGE: Concept = ("121049", "DCM")
OBSERVER_TYPE: Concept = ("121005", "DCM")
DEVICE: Concept = ("121007", "DCM")
DEVICE_OBSERVER_UID: Concept = ("121012", "DCM")
PERSON_OBSERVER_NAME: Concept = ("121008", "DCM")
PROCEDURE_REPORTED: Concept = ("121058", "DCM")
MEASUREMENT_GROUP: Concept = ("125007", "DCM")
TRACKING_IDENTIFIER: Concept = ("112039", "DCM")
TRACKING_UID: Concept = ("112040", "DCM")
IMAGING_MEASUREMENTS: Concept = ("126010", "DCM")
SECTIONS: dict[Concept, str] = {
    IMAGING_MEASUREMENTS: "Imaging Measurements",
    ("126011", "DCM"): "Derived Imaging Measurements",
    ("C0034375", "UMLS"): "Qualitative Evaluations",
}
REFERENCED_SEGMENT: Concept = ("121191", "DCM")
REFERENCED_FRAME: Concept = ("121214", "DCM")
IMAGE_REGION: Concept = ("111030", "DCM")
REGION_IN_SPACE: Concept = ("130488", "DCM")
VOLUME_SURFACE: Concept = ("121231", "DCM")
SEGMENT_SOURCES: frozenset[Concept] = frozenset({("121232", "DCM"), ("121233", "DCM")})
REGIONS = {
    PLANAR_GROUP: frozenset({IMAGE_REGION, REFERENCED_FRAME, REGION_IN_SPACE}),
    VOLUMETRIC_GROUP: frozenset({REFERENCED_SEGMENT, VOLUME_SURFACE, IMAGE_REGION, REGION_IN_SPACE}),
}
"""What a group is about: one of these, by template."""


class Node(NamedTuple):
    """A content item.

    Attributes:
        item: The item.
        place: Its position, such as 1.9.2.
        above: Value type of its parent, empty for the root.
    """

    item: Item
    place: str
    above: str


def report_problems(plain: PlainObject) -> Iterator[str]:
    """What is wrong with an SR document or a Key Object Selection.

    Args:
        plain: The object.

    Yields:
        Sentences; many items with one defect are one sentence.
    """
    children = plain.items("ContentSequence")
    template = template_of(plain)
    is_3d = plain.dataset.SOPClassUID == COMPREHENSIVE_3D_SR_STORAGE
    if is_3d and template != MEASUREMENT_REPORT:
        yield "the root content item is not TID 1500 (ContentTemplateSequence)"
    yield from _document_problems(plain)
    yield from _summary(_tree_problems(children))
    yield from _evidence_problems(plain)
    if template == MEASUREMENT_REPORT:
        yield from _measurement_report_problems(children)


def template_of(plain: PlainObject) -> str:
    """Template Identifier (0040,DB00) of the root, empty where there is none."""
    templates = plain.items("ContentTemplateSequence")
    return templates[0].text("TemplateIdentifier") if templates else ""


def evidence(plain: PlainObject) -> set[str]:
    """SOP Instance UIDs that a document lists as its evidence (PS3.3 C.17.2.3)."""
    return {
        instance.text("ReferencedSOPInstanceUID")
        for keyword in EVIDENCE_KEYWORDS
        for study in plain.items(keyword)
        for series in study.items("ReferencedSeriesSequence")
        for instance in series.items("ReferencedSOPSequence")
    }


def content_references(plain: PlainObject) -> Iterator[Item]:
    """Items of Referenced SOP Sequence (0008,1199) of all content items."""
    for node in _nodes(plain.items("ContentSequence")):
        yield from node.item.items("ReferencedSOPSequence")


def concept_of(item: Item) -> Concept:
    """Value and scheme of a content item's name."""
    name = item.first("ConceptNameCodeSequence")
    return name.text("CodeValue") or name.text("LongCodeValue"), name.text("CodingSchemeDesignator")


def _nodes(children: Iterable[Item], place: str = "1", above: str = "CONTAINER") -> Iterator[Node]:
    """All content items below the root, depth first."""
    for number, item in enumerate(children, start=1):
        here = f"{place}.{number}"
        yield Node(item, here, above)
        yield from _nodes(item.items("ContentSequence"), here, item.text("ValueType"))


def _document_problems(plain: PlainObject) -> Iterator[str]:
    """The root and the document (PS3.3 C.17.2, C.17.3)."""
    dataset = plain.dataset
    if read_text(dataset, "ValueType") != "CONTAINER":
        yield f"the root content item is no CONTAINER ({attribute('ValueType')})"
    names = plain.items("ConceptNameCodeSequence")
    if not names or not is_code(names[0]):
        yield "the document has no title (ConceptNameCodeSequence of the root)"
    if dataset.SOPClassUID == KEY_OBJECT_STORAGE:
        return
    for keyword in ("CompletionFlag", "VerificationFlag"):
        if not read_text(dataset, keyword):
            yield f"{attribute(keyword)} is absent or empty (PS3.3 C.17.2)"


def _summary(defects: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One sentence a kind of defect, with the first place."""
    places: dict[str, list[str]] = {}
    for place, defect in defects:
        places.setdefault(defect, []).append(place)
    for defect, found in places.items():
        others = f" and {len(found) - 1} others" if len(found) > 1 else ""
        yield f"content item {found[0]}{others}: {defect}"


def _tree_problems(children: Iterable[Item]) -> Iterator[tuple[str, str]]:
    for node in _nodes(children):
        for defect in (*_relation_defects(node), *_value_defects(node.item)):
            yield node.place, defect


def _relation_defects(node: Node) -> Iterator[str]:
    """What stands below what, and how (PS3.3 A.35.13.3.1.2)."""
    relation, kind = node.item.text("RelationshipType"), node.item.text("ValueType")
    if "ReferencedContentItemIdentifier" in node.item:
        return
    if kind not in ALL | {"CONTAINER"}:
        yield f"{attribute('ValueType')} is absent or none of the standard's"
    elif relation not in TARGETS:
        yield f"{attribute('RelationshipType')} is absent or none of the standard's"
    elif node.above not in TARGETS[relation][0] or kind not in TARGETS[relation][1]:
        yield f"a {kind} may not be related to a {node.above} by {relation} (PS3.3 A.35.13.3.1.2)"


def _value_defects(item: Item) -> Iterator[str]:
    """A content item has what its value type needs (PS3.3 C.17.3, C.18)."""
    kind = item.text("ValueType")
    for keyword in REQUIRED.get(kind, ()):
        if not item.value(keyword):
            yield f"{kind} without {attribute(keyword)}"
    if kind in NAMED and not is_code(item.first("ConceptNameCodeSequence")):
        yield f"{kind} without a complete {attribute('ConceptNameCodeSequence')}"
    if kind == "CODE" and not is_code(item.first("ConceptCodeSequence")):
        yield f"CODE without a complete {attribute('ConceptCodeSequence')}"
    if kind == "NUM":
        yield from _number_defects(item)
    if kind in OBJECTS and not all(map(_is_reference, item.items("ReferencedSOPSequence") or [item])):
        yield f"{kind} without a complete {attribute('ReferencedSOPSequence')}"
    if kind == "SCOORD" and not _selects_an_image(item):
        yield "SCOORD without an IMAGE that it is SELECTED FROM (PS3.3 C.18.6)"


def _number_defects(item: Item) -> Iterator[str]:
    """A NUM has a value with its unit, or none at all (PS3.3 C.18.1)."""
    if "MeasuredValueSequence" not in item:
        yield f"NUM without {attribute('MeasuredValueSequence')}"
    for measured in item.items("MeasuredValueSequence"):
        if not _is_number(measured.text("NumericValue")):
            yield f"NUM without a number in {attribute('NumericValue')}"
        if not is_code(measured.first("MeasurementUnitsCodeSequence")):
            yield f"NUM without a unit ({attribute('MeasurementUnitsCodeSequence')})"


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf") and "_" not in text
    except ValueError:
        return False


def _is_reference(item: Item) -> bool:
    return bool(item.text("ReferencedSOPClassUID") and item.text("ReferencedSOPInstanceUID"))


def _selects_an_image(item: Item) -> bool:
    return any(
        child.text("RelationshipType") == "SELECTED FROM"
        and (child.text("ValueType") == "IMAGE" or "ReferencedContentItemIdentifier" in child)
        for child in item.items("ContentSequence")
    )


def _evidence_problems(plain: PlainObject) -> Iterator[str]:
    """Every referenced object is listed as evidence (PS3.3 C.17.2)."""
    listed = evidence(plain)
    named = {reference.text("ReferencedSOPInstanceUID") for reference in content_references(plain)}
    is_3d = plain.dataset.SOPClassUID == COMPREHENSIVE_3D_SR_STORAGE
    if not listed and (named or is_3d):
        yield "CurrentRequestedProcedureEvidenceSequence is absent: viewers refuse the report"
    if named - listed:
        yield f"{len(named - listed)} referenced instances are not listed as evidence"


def _measurement_report_problems(children: list[Item]) -> Iterator[str]:
    """The rows that TID 1500 asks for, with those of TID 1204, 1001, 1004."""
    by_concept: dict[Concept, list[Item]] = {}
    for child in children:
        by_concept.setdefault(concept_of(child), []).append(child)
    if not _related(by_concept, LANGUAGE, "HAS CONCEPT MOD"):
        yield 'TID 1500: (121049, DCM, "Language of Content Item and Descendants") is absent (TID 1204)'
    if not _related(by_concept, PROCEDURE_REPORTED, "HAS CONCEPT MOD"):
        yield 'TID 1500: (121058, DCM, "Procedure reported") is absent'
    yield from _observer_problems(by_concept)
    if not any(_related(by_concept, section, "CONTAINS") for section in SECTIONS):
        yield f"TID 1500: none of {', '.join(SECTIONS.values())} is there"
    groups = [
        Node(group, f"1.{number}.{below}", "CONTAINER")
        for number, section in enumerate(children, start=1)
        if concept_of(section) in SECTIONS
        for below, group in enumerate(section.items("ContentSequence"), start=1)
        if concept_of(group) == MEASUREMENT_GROUP
    ]
    yield from _summary((group.place, defect) for group in groups for defect in _group_defects(group.item))
    yield from _tracking_problems(groups)


def _related(by_concept: dict[Concept, list[Item]], concept: Concept, relation: str) -> list[Item]:
    return [item for item in by_concept.get(concept, []) if item.text("RelationshipType") == relation]


def _observer_problems(by_concept: dict[Concept, list[Item]]) -> Iterator[str]:
    """Who observed: a person where nothing is said, else a person or device with what identifies it (TID 1002-1004)."""
    types = _related(by_concept, OBSERVER_TYPE, "HAS OBS CONTEXT")
    kinds = {_code(item) for item in types}
    if DEVICE in kinds and not _related(by_concept, DEVICE_OBSERVER_UID, "HAS OBS CONTEXT"):
        yield 'TID 1500: the observer is a device without (121012, DCM, "Device Observer UID") (TID 1004)'
    if DEVICE not in kinds and not _related(by_concept, PERSON_OBSERVER_NAME, "HAS OBS CONTEXT"):
        yield "TID 1500: no observer is named, neither a device nor a person (TID 1001)"


def _code(item: Item) -> Concept:
    code = item.first("ConceptCodeSequence")
    return code.text("CodeValue"), code.text("CodingSchemeDesignator")


def _group_defects(group: Item) -> Iterator[str]:
    """What a measurement group has (TID 1410, 1411, 1501)."""
    children = group.items("ContentSequence")
    found = {concept_of(child) for child in children}
    for concept, name in ((TRACKING_IDENTIFIER, "Tracking Identifier"), (TRACKING_UID, "Tracking Unique Identifier")):
        if not any(concept_of(c) == concept and c.text("RelationshipType") == "HAS OBS CONTEXT" for c in children):
            yield f"the measurement group has no ({concept[0]}, DCM, {name!r}) by HAS OBS CONTEXT"
    template = group.first("ContentTemplateSequence").text("TemplateIdentifier")
    if template in REGIONS and not found & REGIONS[template]:
        yield f"the measurement group of TID {template} has neither a region nor a segment"
    if REFERENCED_SEGMENT in found:
        yield from _segment_reference_defects(children, found)


def _segment_reference_defects(children: Iterable[Item], found: set[Concept]) -> Iterator[str]:
    """A referenced segment has its number, and the images that it was made from (TID 1411)."""
    for child in children:
        if concept_of(child) == REFERENCED_SEGMENT:
            references = child.items("ReferencedSOPSequence")
            if not references or any(reference.number("ReferencedSegmentNumber") < 0 for reference in references):
                yield f"the referenced segment has no {attribute('ReferencedSegmentNumber')}"
    if not found & SEGMENT_SOURCES:
        yield "the referenced segment has no source: (121232, DCM) or (121233, DCM) (TID 1411)"


def _tracking_problems(groups: Iterable[Node]) -> Iterator[str]:
    """One Tracking Unique Identifier is one finding; viewers put groups that share it together."""
    names: dict[str, set[str]] = {}
    for group in groups:
        children = group.item.items("ContentSequence")
        uids = [c.text("UID") for c in children if concept_of(c) == TRACKING_UID]
        identifiers = [c.text("TextValue") for c in children if concept_of(c) == TRACKING_IDENTIFIER]
        for uid in uids:
            names.setdefault(uid, set()).update(identifiers)
    shared = sum(len(identifiers) > 1 for identifiers in names.values())
    if shared:
        yield f"{shared} Tracking Unique Identifiers stand for several Tracking Identifiers: findings are mixed up"
