"""Rejection note: a Key Object Selection that takes results out of use (IHE IOCM; PS3.16 TID 2010).

It names results that were stored before, so that archives and viewers hide or delete them. Who stores a result in place
of another one knows what was stored, and stores this beside the new one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from highdicom import ko, sr
from pydicom.sr.codedict import codes as dictionary

from operators.core import codes, defaults
from operators.core.errors import OperatorError
from operators.core.identity import derived_uid
from operators.write.marking import no_names_in_warnings, series_description, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from operators.core.identity import ResultIdentity

ONE_OF_EACH = ("PatientID", "PatientName", "StudyInstanceUID")
"""What all results that one note names have in common."""


class RejectionReason(Enum):
    """Title of a rejection note (PS3.16 CID 7031); what receivers do with the objects depends on it."""

    QUALITY = codes.REJECTED_FOR_QUALITY
    """Replaced by a better result; may be kept for those who are allowed to see it."""
    PATIENT_SAFETY = codes.REJECTED_FOR_PATIENT_SAFETY
    """Wrong, and a danger to the patient: nobody may see it in clinical use."""
    INCORRECT_WORKLIST_ENTRY = codes.INCORRECT_WORKLIST_ENTRY
    """Made of images that were taken under another patient's or procedure's entry."""
    DATA_RETENTION_EXPIRED = codes.DATA_RETENTION_EXPIRED
    """Right, and no longer kept."""


@no_names_in_warnings()
def build_rejection_note(
    rejected: Sequence[Dataset], reason: RejectionReason, identity: ResultIdentity, description: str
) -> ko.KeyObjectSelectionDocument:
    """A Key Object Selection that rejects results.

    Args:
        rejected: Headers of the results to be taken out of use, all of one patient and study: SEG, SR and the others.
        reason: Title of the note.
        identity: Of the result that takes their place; UIDs and clock derive from it.
        description: What a person should know, one sentence.

    Returns:
        The data set, Key Object Selection Document Storage 1.2.840.10008.5.1.4.1.1.88.59, in their study.

    Raises:
        OperatorError: If there is nothing to reject, or the results belong to several patients or studies.
    """
    _require_one_of_each(rejected)
    content = ko.KeyObjectSelection(
        document_title=reason.value,
        referenced_objects=rejected,
        observer_device_context=_observer(identity),
        description=description,
    )
    dataset = ko.KeyObjectSelectionDocument(
        evidence=rejected,
        content=content,
        series_instance_uid=identity.uid("rejection/series"),
        series_number=defaults.REJECTION_NOTE_SERIES_NUMBER,
        sop_instance_uid=identity.uid("rejection/instance"),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
    )
    dataset.ManufacturerModelName = identity.app
    dataset.SoftwareVersions = identity.version
    stamp(dataset, identity, series_description("KO", identity))
    return dataset


def _require_one_of_each(rejected: Sequence[Dataset]) -> None:
    """A note lies in one study of one patient.

    Raises:
        OperatorError: If there is no result, or they differ.
    """
    if not rejected:
        raise OperatorError("a rejection note names at least one result; there is none to reject")
    for keyword in ONE_OF_EACH:
        if len({str(result.get(keyword, "")) for result in rejected}) > 1:
            raise OperatorError(f"the results to reject differ in {keyword}; write one note for each patient and study")


def _observer(identity: ResultIdentity) -> sr.ObserverContext:
    """The app as device observer (TID 1004)."""
    return sr.ObserverContext(
        observer_type=dictionary.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid(f"device/{identity.app}/{identity.version}"),
            name=identity.app,
            manufacturer_name=defaults.MANUFACTURER,
        ),
    )
