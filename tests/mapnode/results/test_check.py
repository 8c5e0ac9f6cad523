"""Check: a result of another patient, study or series is found, and told without saying who."""

import copy
import os
import shutil

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mapnode.results.check import LARGEST_FILE_BYTES, check_files, check_results, identity_of
from operators.core.contract import Output
from operators.core.identity import derived_uid
from operators.core.manifest import OutputPart
from operators.core.quality import QualityFinding, QualityReport, Severity
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
from tests.results import content_named, shift_positions

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


def test_a_segmentation_shifted_against_its_source_is_found(written, source):
    seg = copy.deepcopy(written[1])
    shift_positions(seg, (0, 0, 3))

    (problem,) = check_results([seg], source)

    assert "frames lie on another source image than the one that they refer to" in problem


def test_a_result_that_would_replace_an_image_is_found(written, result, source):
    result.SOPInstanceUID = result.file_meta.MediaStorageSOPInstanceUID = written[0][0].SOPInstanceUID

    problems = check(written, result, source)

    assert any("is that of a source image, which it would replace" in problem for problem in problems)


def test_a_result_in_the_series_of_its_source_is_found(written, result, source):
    result.SeriesInstanceUID = written[0][0].SeriesInstanceUID

    assert check(written, result, source) == [
        f"{result.SOPClassUID.name}: its SeriesInstanceUID is the source's; a result has a series of its own"
    ]


def test_results_of_two_modalities_in_one_series_are_found(written, source):
    sr = copy.deepcopy(written[2])
    sr.SeriesInstanceUID = written[1].SeriesInstanceUID

    assert check_results([written[1], sr], source) == [
        "results of the modalities SEG, SR are in one series (PS3.3 C.7.3.1)"
    ]


def test_a_result_that_is_there_twice_is_found(written, source):
    problems = check_results([written[1], written[1]], source)

    assert [problem.split(": ")[1] for problem in problems] == ["its SOPInstanceUID is that of another result"] * 2


def test_a_report_on_a_segment_that_the_segmentation_has_not_is_found(written, source):
    sr = copy.deepcopy(written[2])
    reference = content_named(sr, "121191")[0][1].ReferencedSOPSequence[0]
    reference.ReferencedSegmentNumber = 9

    assert check_results([written[1], sr], source) == [
        "Comprehensive 3D SR Storage: it refers to the segments [9], which the SEG has not"
    ]


@pytest.fixture(scope="module")
def folder(written, tmp_path_factory):
    """The results as files in an output folder."""
    target = tmp_path_factory.mktemp("output")
    for name, dataset in zip(("seg.dcm", "sr.dcm"), written[1:], strict=True):
        dataset.save_as(target / name, enforce_file_format=True)
    return target


@pytest.fixture
def output(folder, tmp_path):
    """A folder of a run, to put hostile files into."""
    target = tmp_path / "output"
    shutil.copytree(folder, target)
    return target


MADE = (OutputPart(kind="seg", description=""), OutputPart(kind="sr", description=""))


def outputs_of(written, **names) -> list[Output]:
    """What result.json says of SEG and SR; other names in place of theirs."""
    named = zip(("seg", "sr"), written[1:], strict=True)
    return [Output(path=names.get(kind, f"{kind}.dcm"), sop_instance_uid=d.SOPInstanceUID) for kind, d in named]


def test_files_of_a_run_pass(written, folder, source):
    assert check_files(folder, outputs_of(written), MADE, source) == []


def test_a_defect_in_a_file_is_found(written, output, source):
    seg = dcmread(output / "seg.dcm")
    shift_positions(seg, (0.4, 0, 0))
    seg.save_as(output / "seg.dcm")

    (problem,) = check_files(output, outputs_of(written), MADE, source)

    assert "lie elsewhere than the source images that they refer to: shifted" in problem


@pytest.mark.parametrize("name", ["../outside.dcm", "/etc/hostname", "deep/../../outside.dcm"])
def test_a_file_outside_of_the_output_folder_is_refused(written, output, source, name):
    (output / "deep").mkdir()
    (output.parent / "outside.dcm").write_bytes((output / "seg.dcm").read_bytes())

    problems = check_files(output, outputs_of(written, seg=name), MADE, source)

    assert problems == [f"{name}: it is a link, or lies outside of the output folder"]


@pytest.mark.parametrize("inside", [True, False])
def test_a_link_is_refused_wherever_it_leads(written, output, source, inside):
    target = output / "sr.dcm" if inside else output.parent / "elsewhere.dcm"
    target.write_bytes((output / "seg.dcm").read_bytes())
    (output / "seg.dcm").unlink()
    (output / "seg.dcm").symlink_to(target)

    problems = check_files(output, outputs_of(written), MADE, source)

    assert "seg.dcm: it is a link, or lies outside of the output folder" in problems


def test_a_folder_and_a_pipe_are_no_results(written, output, source):
    (output / "folder").mkdir()
    os.mkfifo(output / "pipe")

    problems = check_files(output, outputs_of(written, seg="folder", sr="pipe"), MADE, source)

    assert problems == ["folder: it is no regular file", "pipe: it is no regular file"]


def test_a_file_that_is_not_there_is_a_problem_and_no_crash(written, output, source):
    (output / "seg.dcm").unlink()

    assert check_files(output, outputs_of(written), MADE, source) == ["seg.dcm: it cannot be opened: FileNotFoundError"]


def test_an_absurdly_large_file_is_refused_without_reading_it(written, output, source):
    with (output / "seg.dcm").open("r+b") as file:
        file.truncate(LARGEST_FILE_BYTES + 1)

    problems = check_files(output, outputs_of(written), MADE, source)

    assert problems == [f"seg.dcm: it has {LARGEST_FILE_BYTES + 1} bytes; {LARGEST_FILE_BYTES} are the most"]


def test_more_files_than_any_run_makes_are_refused(written, output, source):
    problems = check_files(output, outputs_of(written) * 501, MADE, source)

    assert problems == ["there are 1002 files; 1000 are the most that a run may make"]


def test_an_object_that_the_manifest_does_not_name_is_refused(written, output, source):
    problems = check_files(output, outputs_of(written), MADE[:1], source)

    assert problems == ["sr.dcm: the app's manifest names no output of its SOP Class (Comprehensive 3D SR Storage)"]


def test_an_object_under_another_uid_than_announced_is_refused(written, output, source):
    announced = outputs_of(written, seg="sr.dcm", sr="seg.dcm")

    assert check_files(output, announced, MADE, source) == [
        f"{name}: its SOPInstanceUID is not the one that result.json says" for name in ("sr.dcm", "seg.dcm")
    ]


@pytest.mark.filterwarnings("ignore:End of file reached")
@pytest.mark.parametrize("content", [b"", b"no DICOM", b"\0" * 128 + b"DICM" + b"\xff" * 40])
def test_what_is_no_dicom_is_refused(written, output, source, content):
    (output / "seg.dcm").write_bytes(content)

    (problem,) = check_files(output, outputs_of(written), MADE, source)

    assert problem.startswith("seg.dcm: ")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm"])
def test_damaged_files_are_problems_and_no_crash(written, output, source, name):
    """A step that crashes is tried again; a result that cannot be judged is refused at once."""
    whole = (output / name).read_bytes()
    random = np.random.default_rng(5)
    for _ in range(60):
        damaged = bytearray(whole)
        for place in random.integers(132, len(whole), 5):
            damaged[place] = random.integers(256)
        (output / name).write_bytes(damaged)

        assert isinstance(check_files(output, outputs_of(written), MADE, source), list)


def test_a_report_that_holds_the_numbers_back_is_stored_alone(written, tmp_path):
    volume = make_volume(edit=as_patient)
    label_map, identity = make_label_map(volume), make_identity()
    seg = WriteSegmentation(Application(), WriteParameters(tmp_path)).process(volume, label_map, identity)
    quality = QualityReport((QualityFinding("fat_hu", "HU are shifted.", Severity.HOLD),))

    sr = WriteMeasurementReport(Application(), ReportParameters(tmp_path)).process(
        volume, label_map, seg, make_measurements(label_map), quality, make_selection(volume), identity
    )

    assert check_results([sr.dataset], identity_of(written[0])) == []


def test_an_object_that_inflates_without_end_is_no_result(written, output, source, monkeypatch):
    monkeypatch.setattr("operators.core.dicom_file.LARGEST_INFLATED", (0, 1))
    seg = dcmread(output / "seg.dcm")
    seg.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    seg.save_as(output / "seg.dcm")

    problems = check_files(output, outputs_of(written), MADE, source)

    assert problems == ["seg.dcm: it cannot be read as DICOM: ValueError"]
