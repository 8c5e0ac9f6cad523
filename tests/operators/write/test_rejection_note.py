"""Rejection note: it names what is rejected, why, and nothing else (IHE IOCM, PS3.16 TID 2010)."""

import copy
import shutil

import pytest
from highdicom.ko import KeyObjectSelectionDocument
from pydicom import dcmread

from mapnode.judges import VALIDATOR
from operators.core.errors import OperatorError
from operators.core.object_checks import check_object
from operators.core.quality import QualityReport
from operators.write.marking import save
from operators.write.rejection_note import RejectionReason, build_rejection_note
from operators.write.write_measurement_report import Findings, build_report
from operators.write.write_segmentation import build_segmentation
from tests.builders import make_identity, make_label_map, make_measurements, make_volume
from tests.judges import dciodvfy_errors

SENTENCE = "Superseded by the result of another version."
NEW = make_identity(sha256="ef" * 32)


@pytest.fixture(scope="module")
def rejected():
    """SEG and SR of a former run, as an archive gives their headers."""
    volume = make_volume()
    label_map, identity = make_label_map(volume), make_identity()
    seg = build_segmentation(volume, label_map, identity)
    findings = Findings(make_measurements(label_map), QualityReport(()))
    return [seg, build_report(volume, label_map, seg, findings, identity)]


@pytest.fixture
def path(rejected, tmp_path):
    save(build_rejection_note(rejected, RejectionReason.QUALITY, NEW, SENTENCE), tmp_path / "ko.dcm")
    return tmp_path / "ko.dcm"


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (RejectionReason.QUALITY, "113001"),
        (RejectionReason.PATIENT_SAFETY, "113037"),
        (RejectionReason.INCORRECT_WORKLIST_ENTRY, "113038"),
        (RejectionReason.DATA_RETENTION_EXPIRED, "113039"),
    ],
)
def test_title_says_why(rejected, reason, code):
    note = build_rejection_note(rejected, reason, NEW, SENTENCE)

    (title,) = note.ConceptNameCodeSequence
    assert (title.CodeValue, title.CodingSchemeDesignator) == (code, "DCM")


def test_note_names_every_rejected_object_and_no_other(path, rejected):
    note = dcmread(path)

    named = [
        (item.ValueType, item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    ]
    evidence = [
        (series.SeriesInstanceUID, instance.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]

    seg, report = rejected
    assert named == [("IMAGE", seg.SOPInstanceUID), ("COMPOSITE", report.SOPInstanceUID)]
    assert sorted(evidence) == sorted((one.SeriesInstanceUID, one.SOPInstanceUID) for one in rejected)


def test_note_lies_in_the_study_of_the_patient(path, rejected):
    note = dcmread(path)

    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        assert note[keyword].value == rejected[0][keyword].value
    assert note.Modality == "KO"
    assert note.SeriesInstanceUID not in {one.SeriesInstanceUID for one in rejected}
    assert note.SOPInstanceUID == NEW.uid("rejection/instance")
    assert SENTENCE in [item.TextValue for item in note.ContentSequence if item.ValueType == "TEXT"]


def test_two_notes_have_identical_bytes(path, rejected, tmp_path):
    save(build_rejection_note(rejected, RejectionReason.QUALITY, NEW, SENTENCE), tmp_path / "again.dcm")

    assert (tmp_path / "again.dcm").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_objects_of_two_patients_or_studies_are_refused(rejected, keyword):
    seg, report = rejected[0], copy.deepcopy(rejected[1])
    setattr(report, keyword, "1.2.3")

    with pytest.raises(OperatorError, match=keyword):
        build_rejection_note([seg, report], RejectionReason.QUALITY, NEW, SENTENCE)


def test_nothing_to_reject_is_refused():
    with pytest.raises(OperatorError, match="none to reject"):
        build_rejection_note([], RejectionReason.QUALITY, NEW, SENTENCE)


def test_note_passes_our_own_checks(path):
    assert check_object(dcmread(path)) == []


@pytest.mark.skipif(shutil.which(VALIDATOR) is None, reason="dicom3tools is not installed")
def test_dciodvfy_finds_no_error(path):
    assert dciodvfy_errors(path) == []


def test_highdicom_finds_each_object_in_the_note(path, rejected):
    note = KeyObjectSelectionDocument.from_dataset(dcmread(path))

    for one in rejected:
        study, series, instance = note.resolve_reference(one.SOPInstanceUID)
        assert (study, series, instance) == (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
