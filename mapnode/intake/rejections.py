"""Rejections: notes that take images out of use (IHE IOCM): Key Object Selection with a title of CID 7031."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.object_checks import referenced_instances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom import Dataset

    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.records.rejections import Rejections

KEY_OBJECT_SELECTION = "1.2.840.10008.5.1.4.1.1.88.59"
TITLES = {
    "113001": "Rejected for Quality Reasons",
    "113037": "Rejected for Patient Safety Reasons",
    "113038": "Incorrect Modality Worklist Entry",
    "113039": "Data Retention Policy Expired",
}
"""PS3.16 CID 7031, DCM."""


@dataclass(frozen=True)
class Rejection:
    """What a note says.

    Attributes:
        title: Its title in words.
        sop_instance_uids: What is out of use.
    """

    title: str
    sop_instance_uids: frozenset[str]


def rejected_by(header: Dataset) -> Rejection | None:
    """What an object rejects; None for what is no rejection note.

    Args:
        header: A data set without pixels.
    """
    if header.get("SOPClassUID") != KEY_OBJECT_SELECTION:
        return None
    codes = header.get("ConceptNameCodeSequence") or ()
    title = next(
        (TITLES.get(str(code.get("CodeValue"))) for code in codes if code.get("CodingSchemeDesignator") == "DCM"), None
    )
    return None if title is None else Rejection(title, frozenset(referenced_instances(header)))


def take_rejections(headers: Iterable[Dataset], rejections: Rejections, client: OrthancClient) -> set[tuple[str, str]]:
    """Keep what rejection notes take out of use.

    Args:
        headers: Data sets without pixels; some may be rejection notes.
        rejections: Where that is kept.
        client: Orthanc.

    Returns:
        The series with instances that were taken out of use, by Orthanc's identifier, and the note's title.
    """
    touched: set[tuple[str, str]] = set()
    for header in headers:
        note = rejected_by(header)
        if note is None:
            continue
        rejections.add(note.sop_instance_uids, str(header.SOPInstanceUID), note.title)
        found = (one for uid in note.sop_instance_uids for one in client.lookup(uid) if one.type == "Instance")
        touched |= {(client.instance(one.id).series_id, note.title) for one in found}
    return touched
