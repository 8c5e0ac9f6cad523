"""Rejections: notes that take images out of use (IHE IOCM): Key Object Selection with a title of CID 7031."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.object_checks import referenced_instances

if TYPE_CHECKING:
    from pydicom import Dataset

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
