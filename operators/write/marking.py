"""Marking: what every DICOM result carries besides its content, and how it is saved.

highdicom builds the objects; it stamps them with the wall clock and random UIDs. Here both become functions of the
result's identity, so that the same run gives the same bytes.
"""

from __future__ import annotations

import contextlib
import copy
import re
import warnings
from typing import TYPE_CHECKING, Any

import highdicom as hd
from pydicom.charset import convert_encodings, decode_bytes, encode_string
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.filewriter import correct_ambiguous_vr_element
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.valuerep import AMBIGUOUS_VR, CUSTOMIZABLE_CHARSET_VR, DSfloat

from operators.core import defaults
from operators.core.header import has, read_numbers, read_value
from operators.core.identity import derived_uid
from operators.write.module_attributes import parse_modules_when_asked_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pydicom import Dataset

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import Algorithm
    from operators.core.volume import Volume

parse_modules_when_asked_for()

DATE = re.compile(r"(\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))?")
TIME = re.compile(r"(([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?)?")
"""DA and TM (PS3.5 6.2), or nothing."""
NUMBER = re.compile(r"([+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)?")
"""DS (PS3.5 6.2), or nothing."""
LO_LENGTH = 64
"""Longest Long String (PS3.5 6.2)."""
TYPE_2_KEYWORDS = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex",
    "StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""What an image must have, if only empty (PS3.3 C.7.1.1, C.7.2.1), and what anonymised images often lack."""
VALID_VALUES = {
    "PatientAge": re.compile(r"(\d{3}[DWMY])?"),
    "PatientSex": re.compile("[MFO]?"),
    "PatientBirthDate": DATE,
    "StudyDate": DATE,
    "StudyTime": TIME,
    "PatientSize": NUMBER,
    "PatientWeight": NUMBER,
    "Laterality": re.compile("[RL]?"),
}
"""What results may say of patient and study; anonymised images often have something else, such as a birth date of
19500000, and people type heights as 1,70."""
RATIOS = re.compile(rf"{NUMBER.pattern}(\\{NUMBER.pattern})*")
"""Lossy Image Compression Ratio (0028,2112), one for each step; devices write 1:10 too."""
OPTIONAL_SEQUENCES = (
    "AdmittingDiagnosesCodeSequence", "ConsultingPhysicianIdentificationSequence", "DeidentificationMethodCodeSequence",
    "EthnicGroupCodeSequence", "GroupOfPatientsIdentificationSequence", "IssuerOfAccessionNumberSequence",
    "IssuerOfAdmissionIDSequence", "IssuerOfPatientIDQualifiersSequence", "IssuerOfServiceEpisodeIDSequence",
    "OtherPatientIDsSequence", "PatientSizeCodeSequence", "PhysiciansOfRecordIdentificationSequence",
    "PhysiciansReadingStudyIdentificationSequence", "ProcedureCodeSequence", "ReasonForPerformedProcedureCodeSequence",
    "ReasonForVisitCodeSequence", "ReferencedPatientSequence", "ReferencedStudySequence",
    "ReferringPhysicianIdentificationSequence", "RequestingServiceCodeSequence",
)  # fmt: skip
"""Type 3 of the modules that results copy (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2): absent, or with an item. Devices
write them without one."""
UTF8 = "ISO_IR 192"
ASCII = frozenset({None, "", "ISO_IR 6"})
"""Character sets that have no other letters (PS3.3 C.12.1.1.2); pydicom takes them for Latin-1."""
ENCODED_HERE = -1
"""Place in a file (`RawDataElement.value_tell`) of elements that were encoded here, in Explicit VR Little Endian."""
KNOWN_CHARACTER_SETS = {
    None,
    *(value.value for value in hd.enum.SpecificCharacterSetValues if "2022" not in value.value),
}
PROCESSING_EQUIPMENT = codes.DCM.ProcessingEquipment


def series_description(title: str, identity: ResultIdentity) -> str:
    """Series Description (0008,103E) of a result: at most 64 characters (LO), with its research status.

    The short form of the status stands here; the whole sentence stands in the report.
    """
    status = f" {identity.version} {title} (research use)"
    return identity.app[: LO_LENGTH - len(status)] + status


def source_headers(volume: Volume) -> list[Dataset]:
    """Copies of the source's headers as highdicom takes them.

    Absent attributes of Type 2 become empty ones, and so do dates, times, numbers and a sex that are none. Sequences
    without an item, which the modules that results copy do not allow, and compression ratios that are no numbers are
    left out. Character sets with code extensions (ISO 2022), what is no character set, and sets that lack a letter of
    the patient's name become UTF-8: the letters survive.
    """
    return [_completed(source.header, volume.spacing_mm[0]) for source in volume.slices]


def first_source_header(volume: Volume) -> Dataset:
    """The first of `source_headers`: highdicom takes from it what belongs to patient, study and series."""
    return _completed(volume.slices[0].header, volume.spacing_mm[0])


def _completed(header: Dataset, spacing_mm: float) -> Dataset:
    header = own_copy(header)
    _complete_patient_and_study(header)
    _put_distances(header, spacing_mm)
    if not _can_be_kept(header):
        header = copy.deepcopy(header)
        # pydicom decodes an element with the character set of its file when it is first looked at.
        for _ in header.iterall():
            pass
        header.SpecificCharacterSet = UTF8
    return header


def _complete_patient_and_study(header: Dataset) -> None:
    """Add what has to be there, if only empty, and take away what is no value."""
    for keyword in TYPE_2_KEYWORDS:
        if keyword not in header:
            put(header, keyword, "")
    for keyword in OPTIONAL_SEQUENCES:
        if has(header, keyword) and not header[keyword].value:
            del header[keyword]
    for keyword, valid in VALID_VALUES.items():
        if has(header, keyword) and not valid.fullmatch(_written(header, keyword)):
            put(header, keyword, "")
    ratio = "LossyImageCompressionRatio"
    if has(header, ratio) and not RATIOS.fullmatch(_written(header, ratio)):
        del header[ratio]  # unlike the others it must not be there without a value


def _put_distances(header: Dataset, spacing_mm: float) -> None:
    """Thickness and distance of the slices where the header does not say them, or says what they are not."""
    thickness_mm = read_numbers(header, "SliceThickness")
    if thickness_mm is None or not (thickness_mm > 0).all():
        put(header, "SliceThickness", DSfloat(spacing_mm, auto_format=True))
    if has(header, "SpacingBetweenSlices"):
        # Some devices write the gap, or a sign; results say what the positions say.
        put(header, "SpacingBetweenSlices", DSfloat(spacing_mm, auto_format=True))


def _written(header: Dataset, keyword: str) -> str:
    """A value as it stands in the file, without spaces; a number that is none has no other form."""
    value = header.get_item(keyword).value
    return (value.decode("latin-1") if isinstance(value, bytes) else str(value or "")).strip(" \0")


def _can_be_kept(header: Dataset) -> bool:
    """Whether the source's character set is one of a single code, and holds what the patient's name says.

    Devices write names that their character set does not have; written again in it, letters would become "?".
    """
    character_set = header.get("SpecificCharacterSet")
    if isinstance(character_set, MultiValue) or character_set not in KNOWN_CHARACTER_SETS:
        return False
    names = ("PatientName", "PatientID", "ReferringPhysicianName")
    return _holds(character_set, (str(read_value(header, keyword) or "") for keyword in names))


def _holds(character_set: str | None, texts: Iterable[str]) -> bool:
    """Whether a character set has all letters of some texts."""
    encodings = convert_encodings(character_set)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom says which letters it cannot encode, and the name with them
        return all(decode_bytes(encode_string(text, encodings), encodings, set()) == text for text in texts)


def own_copy(header: Dataset) -> Dataset:
    """A copy in which elements can be put: copy.copy has the elements of both in one dictionary (pydicom 3.0.2)."""
    own = copy.copy(header)
    own._dict = dict(header._dict)
    return own


def put(header: Dataset, keyword: str, value: Any) -> None:  # noqa: ANN401 - whatever the element takes
    """Replace an element; assignment would change the value in the element, which copies share."""
    header.add_new(keyword, dictionary_VR(keyword), value)


@contextlib.contextmanager
def no_names_in_warnings() -> Iterator[None]:
    """Highdicom warns of names with one component, and prints the patient's name in doing so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The string .* is unlikely to represent")
        yield


def device_uid(algorithm: Algorithm) -> str:
    """Device UID (0018,1002) of an algorithm: another version, model or constant is another device."""
    return derived_uid(f"device/{algorithm.digest}")


def equipment(algorithm: Algorithm) -> dict[str, Any]:
    """The algorithm as the equipment of an object, in arguments of highdicom (PS3.3 C.7.5.1, C.7.5.2)."""
    return {
        "manufacturer": defaults.MANUFACTURER,
        "manufacturer_model_name": algorithm.name,
        "software_versions": algorithm.version,
        "device_serial_number": algorithm.digest[:16],
    }


def contributing_equipment(algorithm: Algorithm, identity: ResultIdentity) -> hd.ContributingEquipment:
    """The algorithm as Contributing Equipment (0018,A001) (PS3.3 C.12.1)."""
    item = hd.ContributingEquipment(
        manufacturer=defaults.MANUFACTURER,
        purpose_of_reference=PROCESSING_EQUIPMENT,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        contribution_datetime=identity.clock,
        contribution_description=defaults.RESEARCH_STATUS,
    )
    item.DeviceUID = [device_uid(algorithm)]
    return item


def stamp(dataset: Dataset, identity: ResultIdentity, description: str) -> None:
    """Put the result's clock and description in place of the wall clock."""
    date, time = identity.clock.strftime("%Y%m%d"), identity.clock.strftime("%H%M%S")
    for keyword in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{keyword}Date", date)
        setattr(dataset, f"{keyword}Time", time)
    dataset.SeriesDescription = description
    for item in dataset.get("ContributingEquipmentSequence", []):
        # highdicom adds itself, as of now.
        if "ContributionDateTime" in item:
            item.ContributionDateTime = date + time


def save(dataset: Dataset, path: Path) -> None:
    """Write a data set as a DICOM file (PS3.10), in UTF-8 where its character set lacks a letter of its texts."""
    letters: set[str] = set()
    _settle(dataset, letters, of_item=False)
    character_set = dataset.get("SpecificCharacterSet")
    if letters and (character_set in ASCII or not _holds(character_set, letters)):
        dataset.SpecificCharacterSet = UTF8
        dataset.set_original_encoding(False, True, dataset._character_set)
    dataset.save_as(path, enforce_file_format=True)


def _settle(dataset: Dataset, letters: set[str], *, of_item: bool = True) -> None:
    """Decide on US or SS where a VR depends on other elements, and say that this is done.

    pydicom would look for such elements in all that is below each data set, level by level: half the time of an SR.

    Args:
        dataset: A data set.
        letters: Takes the texts of items that ASCII does not hold.
        of_item: What lies above all items is the source's, and stays as it is: `source_headers` looked at its names.
    """
    if dataset.original_encoding != (None, None):
        return  # it was read from a file: pydicom converts what has to be converted
    for element in list(dataset.elements()):
        if isinstance(element, RawDataElement) and element.value_tell == ENCODED_HERE:
            continue
        settled = dataset[element.tag]
        if settled.VR == "SQ":
            for item in settled.value:
                _settle(item, letters)
        elif settled.VR in AMBIGUOUS_VR:
            correct_ambiguous_vr_element(settled, dataset, is_little_endian=True)
        elif of_item and settled.VR in CUSTOMIZABLE_CHARSET_VR and not (text := str(settled.value)).isascii():
            letters.add(text)
    dataset.set_original_encoding(False, True, dataset._character_set)
