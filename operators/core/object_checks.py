"""Object checks: our own rules for DICOM results, before a validator or a PACS sees them.

What each rule means for those who meet it: docs/validation.md. SEG, SR and the others have modules of their own; none
goes through pydicom's objects for what there are thousands of, so that they can run after every job.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import uid
from pydicom.uid import UID

from operators.core.header import PARSE_ERRORS, attribute, file_meta_value, has, read_text, read_value
from operators.core.items import PlainObject, tag_of
from operators.core.kind_checks import (
    capture_problems,
    document_problems,
    key_object_problems,
    map_problems,
    presentation_problems,
    structure_set_problems,
)
from operators.core.reading import IDENTITY_KEYWORDS
from operators.core.report_checks import EVIDENCE_KEYWORDS, KEY_OBJECT_STORAGE, REPORTS, report_problems
from operators.core.segmentation_checks import PARAMETRIC_MAP, SEGMENTATIONS, segmentation_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydicom import Dataset

    from operators.core.items import Item
    from operators.core.source_planes import SourcePlanes

PATIENT_KEYWORDS = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")
STUDY_KEYWORDS = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")
RESULT_KEYWORDS = (*STUDY_KEYWORDS, "SeriesNumber")
"""Attributes of Type 2 by which archives and viewers place a result: present, empty or not (PS3.3 C.7.2.1, C.7.3.1)."""
FILE_META = {"MediaStorageSOPClassUID": "SOPClassUID", "MediaStorageSOPInstanceUID": "SOPInstanceUID"}
"""What the file meta information repeats (PS3.10 7.1): archives store by it."""


@dataclass(frozen=True)
class ResultKind:
    """A kind of result that has rules of its own.

    Attributes:
        modality: Its Modality (0008,0060); empty where the kind has none of its own, None where it needs none.
        check: Finds what is wrong with it.
    """

    modality: str | None
    check: Callable[[PlainObject, SourcePlanes | None], Iterator[str]]


def _report(plain: PlainObject, _source: SourcePlanes | None) -> Iterator[str]:
    yield from report_problems(plain)


def _key_objects(plain: PlainObject, _source: SourcePlanes | None) -> Iterator[str]:
    yield from report_problems(plain)
    yield from key_object_problems(plain)


RESULT_KINDS: dict[str, ResultKind] = {
    **dict.fromkeys(SEGMENTATIONS, ResultKind("SEG", segmentation_problems)),
    **dict.fromkeys(REPORTS, ResultKind("SR", _report)),
    KEY_OBJECT_STORAGE: ResultKind("KO", _key_objects),
    PARAMETRIC_MAP: ResultKind("", map_problems),
    # Modality is that of the source equipment, and Type 3 (PS3.3 C.8.6.1).
    str(uid.SecondaryCaptureImageStorage): ResultKind(None, capture_problems),
    str(uid.EncapsulatedPDFStorage): ResultKind("DOC", document_problems),
    str(uid.GrayscaleSoftcopyPresentationStateStorage): ResultKind("PR", presentation_problems),
    str(uid.RTStructureSetStorage): ResultKind("RTSTRUCT", structure_set_problems),
}
"""By SOP Class UID; of other objects the identity alone is checked."""
REFERENCE_SEQUENCES = frozenset(
    map(
        tag_of,
        (
            "ContourImageSequence",
            "ReferencedImageSequence",
            "ReferencedInstanceSequence",
            "ReferencedSOPSequence",
            "SourceImageSequence",
            "SourceInstanceSequence",
        ),
    )
)
"""Where objects name images and results."""
OTHER_OBJECTS = frozenset({
    "IdenticalDocumentsSequence",
    "PredecessorDocumentsSequence",
    "ReferencedPerformedProcedureStepSequence",
    "ReferencedStudySequence",
})
"""Where they name what is neither: what they replace, and what they belong to."""


def check_object(dataset: Dataset, source: SourcePlanes | None = None) -> list[str]:
    """What is wrong with a result, as sentences without patient data; empty if nothing is.

    Args:
        dataset: A DICOM object of any SOP Class; those of RESULT_KINDS get checks of their own.
        source: Where the images lie that it was made from; without them it is held against itself alone.

    Returns:
        The problems.
    """
    return check_plain(PlainObject(dataset), source)


def check_plain(plain: PlainObject, source: SourcePlanes | None = None) -> list[str]:
    """The same for an object whose sequences are read already."""
    problems = list(_identity_problems(plain.dataset))
    kind = RESULT_KINDS.get(read_text(plain.dataset, "SOPClassUID"))
    if problems or kind is None:
        return problems
    try:
        return [*_result_problems(plain.dataset, kind), *kind.check(plain, source), *_place_problems(plain, source)]
    except PARSE_ERRORS as error:
        return [f"it cannot be read: {type(error).__name__} in its sequences"]


def referenced_instances(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of all images and results that an object refers to, or lists as evidence."""
    return plain_references(PlainObject(dataset))


def plain_references(plain: PlainObject) -> set[str]:
    """The same for an object whose sequences are read already; ValueError where they cannot be read."""
    found: set[str] = set()
    # The frames of a SEG name nothing that its list, where it has one, does not have: check_object sees to that.
    skipped = OTHER_OBJECTS | ({"PerFrameFunctionalGroupsSequence"} if _lists_sources(plain) else set())
    for keyword in plain.sequences():
        if keyword not in skipped:
            _collect(tag_of(keyword), plain.items(keyword), found)
    return found


def listed_by_series(plain: PlainObject) -> dict[str, set[str]]:
    """SOP Instance UIDs that an object lists, by Series Instance UID; ValueError where the lists cannot be read."""
    series = [
        *plain.items("ReferencedSeriesSequence"),
        *(s for k in EVIDENCE_KEYWORDS for study in plain.items(k) for s in study.items("ReferencedSeriesSequence")),
    ]
    listed: dict[str, set[str]] = {}
    for item in series:
        of_series = listed.setdefault(item.text("SeriesInstanceUID"), set())
        for tag, items in item.sequences():
            _collect(tag, items, of_series)
    return listed


def _lists_sources(plain: PlainObject) -> bool:
    """Whether it is a SEG or Parametric Map that lists its images for the object as a whole."""
    is_one = read_text(plain.dataset, "SOPClassUID") in SEGMENTATIONS | {PARAMETRIC_MAP}
    return is_one and bool(plain.items("ReferencedSeriesSequence"))


def _collect(tag: int, items: list[Item], found: set[str]) -> None:
    if tag in REFERENCE_SEQUENCES:
        found.update(item.text("ReferencedSOPInstanceUID") for item in items if "ReferencedSOPInstanceUID" in item)
    for item in items:
        for below, children in item.sequences():
            _collect(below, children, found)


def _identity_problems(dataset: Dataset) -> Iterator[str]:
    """UIDs are there and valid (PS3.5 9.1); the patient's attributes are present, empty or not (Type 2)."""
    for keyword in IDENTITY_KEYWORDS:
        value = read_value(dataset, keyword)
        if not value:
            yield f"{keyword} is absent or empty"
        elif not UID(str(value)).is_valid:
            yield f"{keyword} is no valid UID"
    yield from (f"{keyword} is absent" for keyword in PATIENT_KEYWORDS if not has(dataset, keyword))


def _result_problems(dataset: Dataset, kind: ResultKind) -> Iterator[str]:
    """What a result of any kind needs to be placed and found."""
    modality = read_text(dataset, "Modality")
    if kind.modality and modality != kind.modality:
        yield f"{attribute('Modality')} is not {kind.modality}"
    if kind.modality == "" and not modality:
        yield "Modality is absent or empty"
    for keyword in RESULT_KEYWORDS:
        if not has(dataset, keyword):
            yield f"{keyword} is absent"
    for repeated, keyword in FILE_META.items():
        value = file_meta_value(dataset, repeated)
        if value is not None and str(value) != read_text(dataset, keyword):
            yield f"{repeated} of the file meta information is not {keyword} (PS3.10 7.1)"


def _place_problems(plain: PlainObject, source: SourcePlanes | None) -> Iterator[str]:
    """An object with a place has the one of its source."""
    stated = read_text(plain.dataset, "FrameOfReferenceUID")
    if source is not None and stated and source.frames_of_reference and stated not in source.frames_of_reference:
        yield "FrameOfReferenceUID is not the source's: its coordinates are those of another scan"
