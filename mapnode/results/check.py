"""Check: a result belongs to the patient, study and instances that it was made from, as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.object_checks import check_object, referenced_instances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

IDENTITY_KEYWORDS = ("PatientID", "PatientName", "StudyInstanceUID")
"""What results take over from their source and must agree with it; a birth date that is none is left out of them."""


@dataclass(frozen=True)
class SourceIdentity:
    """Who and what the instances of a series are, read from Orthanc.

    Attributes:
        values: Attributes of IDENTITY_KEYWORDS as text, empty where absent.
        instances: SOP Instance UIDs of the series.
    """

    values: dict[str, str]
    instances: frozenset[str]


def identity_of(headers: Iterable[Dataset]) -> SourceIdentity:
    """The identity that the instances of one series share; the first one's where they differ."""
    headers = list(headers)
    values = {keyword: _text(headers[0], keyword) for keyword in IDENTITY_KEYWORDS}
    return SourceIdentity(values, frozenset(str(header.SOPInstanceUID) for header in headers))


def check_results(results: Iterable[Dataset], source: SourceIdentity) -> list[str]:
    """What speaks against storing results, as sentences without patient data; empty if nothing does.

    Args:
        results: DICOM objects of one run.
        source: The source, read again just before.

    Returns:
        The problems: another patient or study, a reference to an instance that is not the source's, an invalid object.
    """
    results = list(results)
    known = source.instances | {str(result.get("SOPInstanceUID") or "") for result in results}
    return [problem for result in results for problem in _problems(result, source, known)]


def _problems(result: Dataset, source: SourceIdentity, known: frozenset[str]) -> Iterable[str]:
    name = result.SOPClassUID.name if result.get("SOPClassUID") else "object without SOP Class"
    for keyword in IDENTITY_KEYWORDS:
        if _text(result, keyword) != source.values[keyword]:
            yield f"{name}: {keyword} is not the source's"
    strangers = referenced_instances(result) - known
    if strangers:
        yield f"{name}: it refers to {len(strangers)} instances that are not in the source series"
    yield from (f"{name}: {problem}" for problem in check_object(result))


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()
