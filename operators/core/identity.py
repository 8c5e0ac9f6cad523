"""Identity: the same input, app, model and parameters give the same result, byte for byte.

The identity of a result is a SHA-256 over all that its content depends on. UIDs derive from it, and so does the clock
where the job does not bring one (docs/decisions/0004).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from operators.core.digest import digest_of as digest_of
from operators.core.header import as_written, read_text

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from pydicom import Dataset

    from operators.core.volume import SourceSlice

NAMESPACE = uuid.UUID("0e6e4e7e-7b5d-5c0a-9a43-6d61706e6f64")
"""mapnode's own name space for UUIDs of version 5 (RFC 9562 5.5)."""

INPUT_KEYWORDS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "PatientSize",
    "AccessionNumber",
    "SpecificCharacterSet",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleSlope",
    "RescaleIntercept",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "ModalityLUTSequence",
    # Findings depend on these.
    "InstanceNumber",
    "PatientAge",
    "SliceThickness",
)
"""What results depend on besides pixels: a corrected header is another input, and gets UIDs of its own."""
PET_KEYWORDS = (
    "Units",
    "CorrectedImage",
    "DecayCorrection",
    "PatientWeight",
    "RadiopharmaceuticalInformationSequence",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "FrameReferenceTime",
)
"""What SUV depends on besides (operators/preprocess/convert_to_suv.py)."""
CLOCK_KEYWORDS = (
    ("InstanceCreationDate", "InstanceCreationTime"),
    ("ContentDate", "ContentTime"),
    ("AcquisitionDate", "AcquisitionTime"),
    ("SeriesDate", "SeriesTime"),
    ("StudyDate", "StudyTime"),
)
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class ResultIdentity:
    """What results are named after.

    Attributes:
        sha256: The identity, hexadecimal.
        clock: The time that the results carry as their creation.
        app: Name of the app.
        version: Version of the app.
    """

    sha256: str
    clock: datetime
    app: str
    version: str

    def uid(self, role: str) -> str:
        """A UID for one role of this result, for instance "seg/instance" (PS3.5 B.2, UUID derived)."""
        return derived_uid(f"{self.sha256}/{role}")


def derived_uid(name: str) -> str:
    """UID 2.25.<UUID> of a name: the same name gives the same UID (PS3.5 B.2).

    Examples:
        >>> derived_uid("a") == derived_uid("a") != derived_uid("b")
        True
    """
    return f"2.25.{uuid.uuid5(NAMESPACE, name).int}"


def identity_sha256(
    app: str, version: str, model_digest: str, parameters: Mapping[str, Any], slices: Iterable[SourceSlice]
) -> str:
    """SHA-256 over app, version, model, effective parameters and the input's headers and pixels, in any order."""
    content = {
        "app": app,
        "version": version,
        "model": model_digest,
        "parameters": dict(parameters),
        "input": _input_of(slices),
    }
    return digest_of(content)


def _input_of(slices: Iterable[SourceSlice]) -> list[list[str]]:
    texts: dict[Hashable, str] = {}
    rows = []
    for source in slices:
        keywords = (*INPUT_KEYWORDS, *(PET_KEYWORDS if read_text(source.header, "Modality") == "PT" else ()))
        rows.append([source.pixel_sha256, *(_text(source.header, keyword, texts) for keyword in keywords)])
    return sorted(rows)


def _text(header: Dataset, keyword: str, known: dict[Hashable, str]) -> str:
    """The value as text; what stands in the file in the same way is read once, for slices agree in nearly all."""
    written = as_written(header, keyword)
    if not isinstance(written, bytes):
        return str(header.get(keyword) or "")
    key = keyword, written, header.original_encoding, as_written(header, "SpecificCharacterSet")
    if key not in known:
        known[key] = str(header.get(keyword) or "")
    return known[key]


def source_clock(headers: Iterable[Dataset]) -> datetime:
    """The newest date and time that the source instances carry; 1970 where they carry none.

    It stands in for the job's clock when nobody gives one, so that a run can be repeated to the byte.
    """
    return max((moment for header in headers for moment in _moments(header)), default=EPOCH)


def _moments(header: Dataset) -> Iterable[datetime]:
    for date_keyword, time_keyword in CLOCK_KEYWORDS:
        date, time = str(header.get(date_keyword) or ""), str(header.get(time_keyword) or "")
        text = date + time.split(".", maxsplit=1)[0].replace(":", "").ljust(6, "0")[:6]
        try:
            yield datetime.strptime(text, "%Y%m%d%H%M%S")
        except ValueError:
            continue
