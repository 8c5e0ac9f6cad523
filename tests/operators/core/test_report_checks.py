"""Report checks: a valid TID 1500 report has no problem, and each defect is told in its own sentence."""

import copy

import pytest

from operators.core.object_checks import check_object
from tests.results import content_items, content_named, make_results

LANGUAGE, OBSERVER_TYPE, OBSERVER_UID, PROCEDURE = "121049", "121005", "121012", "121058"
MEASUREMENTS, GROUP, TRACKING, TRACKING_UID = "126010", "125007", "112039", "112040"
SEGMENT, SOURCE_SERIES, REGION = "121191", "121232", "111030"


@pytest.fixture(scope="module")
def written():
    return make_results()


@pytest.fixture
def report(written):
    return copy.deepcopy(written["sr"])


def remove(code, *, which=0):
    """Removes a content item by the code of its name."""

    def change(report):
        parent, item = content_named(report, code)[which]
        parent.ContentSequence = [child for child in parent.ContentSequence if child is not item]

    return change


def first(value_type):
    return lambda report: content_items(report, value_type)[0]


def named(code):
    return lambda report: content_named(report, code)[0][1]


def put(find, keyword, value):
    return lambda report: setattr(find(report), keyword, value)


def delete(find, keyword):
    return lambda report: delattr(find(report), keyword)


def measured(report):
    return content_items(report, "NUM")[0].MeasuredValueSequence[0]


def unname_containers(report):
    """Leave no container of results by its name."""
    for item in report.ContentSequence:
        if item.ValueType == "CONTAINER":
            item.ConceptNameCodeSequence = []


TID_1500 = [
    (remove(LANGUAGE), 'TID 1500: (121049, DCM, "Language of Content Item and Descendants") is absent (TID 1204)'),
    (remove(PROCEDURE), 'TID 1500: (121058, DCM, "Procedure reported") is absent'),
    (remove(OBSERVER_TYPE), "TID 1500: no observer is named, neither a device nor a person (TID 1001)"),
    (
        remove(OBSERVER_UID),
        'TID 1500: the observer is a device without (121012, DCM, "Device Observer UID") (TID 1004)',
    ),
    (
        unname_containers,
        "TID 1500: none of Imaging Measurements, Derived Imaging Measurements, Qualitative Evaluations is there",
    ),
    (remove(TRACKING), "the measurement group has no (112039, DCM, 'Tracking Identifier') by HAS OBS CONTEXT"),
    (
        remove(TRACKING_UID),
        "the measurement group has no (112040, DCM, 'Tracking Unique Identifier') by HAS OBS CONTEXT",
    ),
    (remove(SEGMENT), "the measurement group of TID 1411 has neither a region nor a segment"),
    (remove(REGION), "the measurement group of TID 1410 has neither a region nor a segment"),
    (remove(SOURCE_SERIES), "the referenced segment has no source: (121232, DCM) or (121233, DCM) (TID 1411)"),
    (
        lambda r: delattr(named(SEGMENT)(r).ReferencedSOPSequence[0], "ReferencedSegmentNumber"),
        "the referenced segment has no ReferencedSegmentNumber (0062,000B)",
    ),
]
CONTENT = [
    (delete(measured, "MeasurementUnitsCodeSequence"), "NUM without a unit (MeasurementUnitsCodeSequence (0040,08EA))"),
    (put(measured, "NumericValue", None), "NUM without a number in NumericValue (0040,A30A)"),
    (delete(first("NUM"), "MeasuredValueSequence"), "NUM without MeasuredValueSequence (0040,A300)"),
    (delete(first("NUM"), "ConceptNameCodeSequence"), "NUM without a complete ConceptNameCodeSequence (0040,A043)"),
    (delete(first("CODE"), "ConceptCodeSequence"), "CODE without a complete ConceptCodeSequence (0040,A168)"),
    (delete(first("TEXT"), "TextValue"), "TEXT without TextValue (0040,A160)"),
    (delete(first("UIDREF"), "UID"), "UIDREF without UID (0040,A124)"),
    (delete(first("SCOORD"), "GraphicData"), "SCOORD without GraphicData (0070,0022)"),
    (delete(first("SCOORD"), "ContentSequence"), "SCOORD without an IMAGE that it is SELECTED FROM (PS3.3 C.18.6)"),
    (delete(first("IMAGE"), "ReferencedSOPSequence"), "IMAGE without a complete ReferencedSOPSequence (0008,1199)"),
    (put(first("NUM"), "ValueType", "NUMBER"), "ValueType (0040,A040) is absent or none of the standard's"),
    (delete(first("TEXT"), "RelationshipType"), "RelationshipType (0040,A010) is absent or none of the standard's"),
    (
        put(first("NUM"), "RelationshipType", "HAS CONCEPT MOD"),
        "a NUM may not be related to a CONTAINER by HAS CONCEPT MOD (PS3.3 A.35.13.3.1.2)",
    ),
    (
        put(first("NUM"), "RelationshipType", "SELECTED FROM"),
        "a NUM may not be related to a CONTAINER by SELECTED FROM (PS3.3 A.35.13.3.1.2)",
    ),
]


def test_a_valid_report_has_no_problem(report):
    assert check_object(report) == []


@pytest.mark.parametrize(("change", "sentence"), [*TID_1500, *CONTENT])
def test_defect_is_told(report, change, sentence):
    change(report)

    assert any(problem.endswith(sentence) for problem in check_object(report)), check_object(report)


def test_a_defect_of_many_items_is_one_sentence_with_the_first_place(report):
    for item in content_items(report, "NUM"):
        del item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence

    (problem,) = check_object(report)

    count = len(content_items(report, "NUM")) - 1
    assert problem.startswith("content item 1.9.1.")
    assert f" and {count} others: NUM without a unit" in problem


def test_a_tracking_uid_of_two_findings_is_found(report):
    (_, one), (_, other), *_ = content_named(report, TRACKING_UID)
    other.UID = one.UID

    assert check_object(report) == [
        "1 Tracking Unique Identifiers stand for several Tracking Identifiers: findings are mixed up"
    ]


@pytest.mark.parametrize("keyword", ["CompletionFlag", "VerificationFlag"])
def test_a_document_without_its_flags_is_found(report, keyword):
    delattr(report, keyword)

    (problem,) = check_object(report)
    assert problem.startswith(keyword)


def test_a_report_of_a_person_needs_no_device(report):
    remove(OBSERVER_UID)(report)
    observer = content_named(report, OBSERVER_TYPE)[0][1]
    observer.ConceptCodeSequence[0].CodeValue = "121006"
    person = copy.deepcopy(content_items(report, "TEXT")[0])
    person.ConceptNameCodeSequence[0].CodeValue = "121008"
    person.RelationshipType, person.ValueType, person.PersonName = "HAS OBS CONTEXT", "PNAME", "Reader^Any"
    report.ContentSequence.insert(2, person)

    assert check_object(report) == []


def test_a_segment_of_a_label_map_may_have_the_number_0(report):
    named(SEGMENT)(report).ReferencedSOPSequence[0].ReferencedSegmentNumber = 0

    assert check_object(report) == []


def test_qualitative_evaluations_stand_for_measurements(report):
    name = content_named(report, MEASUREMENTS)[0][1].ConceptNameCodeSequence[0]
    name.CodeValue, name.CodingSchemeDesignator = "C0034375", "UMLS"

    assert check_object(report) == []


def test_a_basic_text_report_is_judged_by_its_tree_and_not_by_tid_1500(report):
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.file_meta.MediaStorageSOPClassUID = report.SOPClassUID
    del report.ContentTemplateSequence
    report.ContentSequence = [i for i in report.ContentSequence if i.ValueType != "CONTAINER"][:1]

    assert check_object(report) == []
