"""Check: a result of another patient, study or series is found, and told without saying who."""

import copy

import pytest
from pydicom import Dataset

from mapnode.results.check import check_results, identity_of
from operators.core.identity import derived_uid
from operators.runtime.sdk import Application
from operators.write.write_measurement_report import ReportParameters, WriteMeasurementReport
from operators.write.write_segmentation import WriteParameters, WriteSegmentation
from tests.builders import (
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_selection,
    make_volume,
)

PATIENT = ("Roe^Richard", "SECRET-4711")


def as_patient(header, _):
    header.PatientName, header.PatientID = PATIENT


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Headers of a source, and the SEG and SR that the write operators make of it."""
    volume = make_volume(edit=as_patient)
    label_map, identity = make_label_map(volume), make_identity()
    parameters = WriteParameters(tmp_path_factory.mktemp("out"))
    seg = WriteSegmentation(Application(), parameters).process(volume=volume, label_map=label_map, identity=identity)
    sr = WriteMeasurementReport(Application(), ReportParameters(parameters.folder)).process(
        volume=volume,
        label_map=label_map,
        seg=seg,
        measurements=make_measurements(label_map),
        derived=(),
        key_slices=(),
        quality=make_quality(),
        selection=make_selection(volume),
        identity=identity,
    )
    return [source.header for source in volume.slices], seg.dataset, sr.dataset


@pytest.fixture
def source(written):
    return identity_of(written[0])


@pytest.fixture(params=[0, 1], ids=["SEG", "SR"])
def result(written, request) -> Dataset:
    """One of the results, to put a defect into; the other one is beside it in `check`."""
    return copy.deepcopy(written[1 + request.param])


def check(written, result, source) -> list[str]:
    others = [one for one in written[1:] if one.SOPClassUID != result.SOPClassUID]
    return check_results([result, *others], source)


def test_results_that_match_their_source_pass(written, source):
    assert check_results(written[1:], source) == []


def test_no_results_are_no_problem(source):
    assert check_results([], source) == []


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_another_patient_or_study_is_found(written, result, source, keyword):
    setattr(result, keyword, derived_uid("another"))

    problems = check(written, result, source)

    assert problems == [f"{result.SOPClassUID.name}: {keyword} is not the source's"]


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "StudyInstanceUID"])
def test_a_source_that_was_corrected_meanwhile_is_found(written, result, keyword):
    headers = copy.deepcopy(written[0])
    for header in headers:
        setattr(header, keyword, derived_uid("corrected"))

    problems = check(written, result, identity_of(headers))

    assert f"{result.SOPClassUID.name}: {keyword} is not the source's" in problems


@pytest.mark.parametrize("value", [None, "", " "], ids=["absent", "empty", "blank"])
def test_an_absent_an_empty_and_a_blank_name_agree(written, value):
    headers = copy.deepcopy(written[0])
    seg = copy.deepcopy(written[1])
    seg.PatientID = ""
    for header in headers:
        header.PatientID = value
        if value is None:
            del header.PatientID

    assert check_results([seg], identity_of(headers)) == []


def test_padding_does_not_make_another_patient(written, source):
    seg = copy.deepcopy(written[1])
    seg.PatientID = f" {seg.PatientID} "

    assert check_results([seg], source) == []


def test_a_reference_to_an_instance_of_another_series_is_found(written, source):
    seg = copy.deepcopy(written[1])
    stranger = derived_uid("foreign")
    reference = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    known, reference.ReferencedSOPInstanceUID = reference.ReferencedSOPInstanceUID, stranger
    for frame in seg.PerFrameFunctionalGroupsSequence:
        for image in frame.DerivationImageSequence[0].SourceImageSequence:
            if image.ReferencedSOPInstanceUID == known:
                image.ReferencedSOPInstanceUID = stranger

    (problem,) = check_results([seg], source)

    assert "it refers to 1 instances that are not in the source series" in problem


def test_evidence_of_another_series_is_found(written, source):
    sr = copy.deepcopy(written[2])
    evidence = sr.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    evidence.ReferencedSOPSequence.append(copy.deepcopy(evidence.ReferencedSOPSequence[0]))
    evidence.ReferencedSOPSequence[-1].ReferencedSOPInstanceUID = derived_uid("foreign")

    (problem,) = check_results([written[1], sr], source)

    assert "it refers to 1 instances that are not in the source series" in problem


def test_a_report_on_a_segmentation_that_is_not_beside_it_is_found(written, source):
    (problem,) = check_results([written[2]], source)

    assert "it refers to 1 instances that are not in the source series" in problem


def test_a_source_of_fewer_instances_than_the_result_names_is_found(written, result):
    problems = check(written, result, identity_of(written[0][:-1]))

    assert any(problem.startswith(f"{result.SOPClassUID.name}: it refers to") for problem in problems)


def test_an_invalid_segmentation_is_found(written, source):
    seg = copy.deepcopy(written[1])
    seg.NumberOfFrames += 1

    problems = check_results([seg], source)

    assert any("NumberOfFrames is" in problem for problem in problems)


def test_an_invalid_report_is_found(written, source):
    sr = copy.deepcopy(written[2])
    del sr.ContentTemplateSequence

    problems = check_results([written[1], sr], source)

    assert any("TID 1500" in problem for problem in problems)


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_result_without_a_uid_is_a_problem_and_no_defect_of_ours(written, source, keyword):
    seg = copy.deepcopy(written[1])
    delattr(seg, keyword)

    problems = check_results([seg], source)

    assert any(f"{keyword} is absent or empty" in problem for problem in problems)


def test_no_problem_tells_who_the_patient_is(written, source):
    headers = copy.deepcopy(written[0])
    for header in headers:
        header.PatientName, header.PatientID = "Doe^Jane", "SECRET-0815"

    problems = check_results(written[1:], identity_of(headers))

    assert len(problems) == 4
    secrets = [*PATIENT, "Doe^Jane", "SECRET-0815"]
    assert [p for p in problems if any(secret in p for secret in secrets)] == []
