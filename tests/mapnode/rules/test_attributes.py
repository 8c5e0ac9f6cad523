"""Which attributes a clause can name."""

import pytest
from pydicom.datadict import keyword_dict

from mapnode.rules.attributes import Kind, canonical_name, is_identifying, kind_of, name_of, tag_of, vr_of


def test_a_tag_and_its_keyword_are_one_name():
    assert canonical_name("0008,103E") == canonical_name("SeriesDescription") == "SeriesDescription"


def test_a_private_tag_is_its_own_name():
    assert canonical_name("0029,10AB") == "0029,10ab"


def test_a_repeating_group_keeps_its_tag_because_its_keyword_names_many():
    assert canonical_name("6002,0010") == "6002,0010"


def test_names_and_tags_are_inverse():
    for name in ("Modality", "0029,10ab", "6002,0010"):
        assert name_of(tag_of(name)) == name


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("Modalty", "Modality"),
        ("modality", "Modality"),
        ("Series Description", "SeriesDescription"),
        ("SliceThicknes", "SliceThickness"),
    ],
)
def test_a_typo_is_refused_with_the_nearest_keyword(typo, meant):
    with pytest.raises(ValueError, match=rf"did you mean {meant}\?"):
        canonical_name(typo)


def test_a_word_far_from_every_keyword_is_refused_without_a_guess():
    with pytest.raises(ValueError, match="write its keyword"):
        canonical_name("qqqqqqqq")


@pytest.mark.parametrize("form", ["00080060", "0008-0060", "(0008,0060)", "0008|0060"])
def test_a_tag_in_another_form_is_refused_with_ours(form):
    with pytest.raises(ValueError, match='"0008,0060"'):
        canonical_name(form)


def test_a_tag_that_the_dictionary_does_not_know_is_refused():
    with pytest.raises(ValueError, match="0008,9999 is not in the DICOM dictionary"):
        canonical_name("0008,9999")


@pytest.mark.parametrize("keyword", ["TransferSyntaxUID", "SourceApplicationEntityTitle", "AffectedSOPInstanceUID"])
def test_what_belongs_to_the_transfer_is_refused(keyword):
    with pytest.raises(ValueError, match="calling_aet"):
        canonical_name(keyword)


def test_pixels_are_out_of_sight():
    with pytest.raises(ValueError, match="before Pixel Data"):
        canonical_name("PixelData")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SliceThickness", Kind.NUMBER),
        ("InstanceNumber", Kind.NUMBER),
        ("Rows", Kind.NUMBER),
        ("SmallestImagePixelValue", Kind.NUMBER),
        ("Modality", Kind.TEXT),
        ("0029,10ab", Kind.TEXT),
        ("PatientAge", Kind.FORMATTED),
        ("StudyDate", Kind.FORMATTED),
        ("RequestAttributesSequence", Kind.OPAQUE),
        ("RedPaletteColorLookupTableData", Kind.OPAQUE),
    ],
)
def test_the_dictionary_says_what_values_are(name, kind):
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    "name",
    ["PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "ReferringPhysicianName", "OperatorsName",
     "AccessionNumber", "StudyID", "AdmissionID", "ImageComments", "StudyDate", "ClinicalTrialSubjectID", "0029,10ab",
     "AdditionalPatientHistory", "IssuerOfPatientID", "PatientAddress"],
)  # fmt: skip
def test_what_may_lead_to_a_patient_is_known(name):
    assert is_identifying(name)


@pytest.mark.parametrize(
    "name",
    ["Modality", "SeriesDescription", "StudyDescription", "BodyPartExamined", "SliceThickness", "StationName",
     "ImageType", "SeriesInstanceUID", "ContrastBolusAgent"],
)  # fmt: skip
def test_what_explains_a_decision_is_shown(name):
    assert not is_identifying(name)


def test_every_person_name_of_the_dictionary_is_identifying():
    names = [k for k in keyword_dict if tag_of(k).group >= 0x0008 and vr_of(k) == "PN"]
    assert len(names) > 20
    assert all(map(is_identifying, names))
