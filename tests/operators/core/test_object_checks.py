"""Object checks: a valid result has no problem, and each defect is found."""

import copy

import pytest
from pydicom import Dataset

from operators.core.object_checks import check_object, referenced_instances
from operators.write.write_measurement_report import Findings, build_report
from operators.write.write_segmentation import build_segmentation
from tests.builders import (
    make_header,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_volume,
)
from tests.results import make_results


@pytest.fixture(scope="module")
def written():
    volume = make_volume()
    label_map, identity = make_label_map(volume), make_identity()
    seg = build_segmentation(volume, label_map, identity)
    found = Findings(make_measurements(label_map), make_quality(), comments=("Research.",))
    report = build_report(volume, label_map, seg, found, identity)
    return {"seg": seg, "sr": report}


@pytest.fixture
def seg(written) -> Dataset:
    return copy.deepcopy(written["seg"])


@pytest.fixture
def report(written) -> Dataset:
    return copy.deepcopy(written["sr"])


def only_problem(dataset) -> str:
    (problem,) = check_object(dataset)
    return problem


def test_valid_results_have_no_problem(seg, report):
    assert check_object(seg) == []
    assert check_object(report) == []


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("kind", ["seg", "report"])
def test_missing_and_empty_uids_are_found(request, kind, keyword):
    dataset = request.getfixturevalue(kind)
    setattr(dataset, keyword, "")
    assert only_problem(dataset) == f"{keyword} is absent or empty"

    delattr(dataset, keyword)
    assert only_problem(dataset) == f"{keyword} is absent or empty"


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI", "ignore:The value length")
@pytest.mark.parametrize("uid", ["1.02.3", "1." + "2" * 63, "a.b"])
def test_uid_that_cannot_be_is_found(seg, uid):
    seg.SeriesInstanceUID = uid

    assert only_problem(seg) == "SeriesInstanceUID is no valid UID"


@pytest.mark.parametrize("keyword", ["PatientID", "PatientName", "PatientBirthDate", "PatientSex"])
def test_patient_attribute_may_be_empty_but_not_absent(seg, keyword):
    setattr(seg, keyword, None)
    assert check_object(seg) == []

    delattr(seg, keyword)
    assert only_problem(seg) == f"{keyword} is absent"


def test_segments_numbered_with_a_gap_are_found(seg):
    seg.SegmentSequence[1].SegmentNumber = 5

    assert any("Segment Numbers are [1, 5, 3]" in problem for problem in check_object(seg))


def test_segmentation_without_segments_is_found(seg):
    del seg.SegmentSequence

    assert "SegmentSequence is absent or empty" in check_object(seg)


def test_wrong_frame_count_is_found(seg):
    seg.NumberOfFrames += 1

    assert any(problem.startswith("NumberOfFrames is") for problem in check_object(seg))


def test_missing_frame_of_reference_is_found(seg):
    del seg.FrameOfReferenceUID

    assert "FrameOfReferenceUID" in only_problem(seg)


def test_frame_of_an_undescribed_segment_is_found(seg):
    frame = seg.PerFrameFunctionalGroupsSequence[0]
    frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 9

    assert only_problem(seg) == "frames refer to the segments [9], which are not described"


def test_segment_without_a_frame_is_found(seg):
    for frame in seg.PerFrameFunctionalGroupsSequence:
        frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1

    assert "the segments [2, 3] are described, but have no frame" in check_object(seg)


def test_frame_of_an_unlisted_instance_is_found(seg):
    item = seg.PerFrameFunctionalGroupsSequence[2].DerivationImageSequence[0].SourceImageSequence[0]
    item.ReferencedSOPInstanceUID = "1.2.3"

    assert "frame 3 refers to an instance that ReferencedSeriesSequence does not list" in check_object(seg)


@pytest.mark.parametrize("change", [lambda data: data[:-2], lambda data: data + b"\0\0"])
def test_pixel_data_of_another_length_is_found(seg, change):
    seg.PixelData = change(seg.PixelData)

    assert only_problem(seg).startswith("PixelData has")


def test_report_of_another_template_is_found(report):
    report.ContentTemplateSequence[0].TemplateIdentifier = "2000"
    assert "TID 1500" in only_problem(report)

    del report.ContentTemplateSequence
    assert "TID 1500" in only_problem(report)


def test_report_without_evidence_is_found(report):
    del report.CurrentRequestedProcedureEvidenceSequence

    assert "CurrentRequestedProcedureEvidenceSequence is absent: viewers refuse the report" in check_object(report)


def test_reference_that_is_no_evidence_is_found(report):
    series = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    for item in series:
        item.ReferencedSOPSequence = [
            instance for instance in item.ReferencedSOPSequence if ".66.4" not in instance.ReferencedSOPClassUID
        ]

    assert only_problem(report).endswith("referenced instances are not listed as evidence")


def test_other_objects_are_checked_for_their_identity_alone():
    header = make_header(0)
    header.PatientName = header.PatientBirthDate = header.PatientSex = ""

    assert check_object(header) == []


def test_a_secondary_capture_needs_no_modality():
    capture = make_results()["secondary_capture"]
    del capture.Modality

    assert check_object(capture) == []


def test_problems_do_not_name_the_patient(seg):
    seg.PatientName, seg.PatientID = "Secret^Name", "SECRET"
    seg.NumberOfFrames += 1

    assert "SECRET" not in " ".join(check_object(seg)).upper()


def test_images_are_found_wherever_an_object_names_them():
    """A Secondary Capture, a PDF, a presentation state and a structure set each name them elsewhere."""

    def reference(uid, **more) -> Dataset:
        item = Dataset()
        item.ReferencedSOPInstanceUID = uid
        for keyword, value in more.items():
            setattr(item, keyword, value)
        return item

    def item_with(keyword, *items) -> Dataset:
        item = Dataset()
        setattr(item, keyword, list(items))
        return item

    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.SourceImageSequence = [reference("1.1")]
    dataset.SourceInstanceSequence = [reference("1.2")]
    dataset.ReferencedSeriesSequence = [item_with("ReferencedImageSequence", reference("1.3"))]
    dataset.ROIContourSequence = [
        item_with("ContourSequence", item_with("ContourImageSequence", reference("1.4"), reference("1.5")))
    ]
    dataset.ReferencedStudySequence = [reference("1.9")]

    assert referenced_instances(dataset) == {"1.1", "1.2", "1.3", "1.4", "1.5"}


@pytest.mark.parametrize("forgotten", [(), ("ReferencedSeriesSequence", "SourceImageSequence")], ids=["listed", "not"])
def test_a_seg_refers_to_what_its_frames_name_whether_it_lists_it_or_not(seg, forgotten):
    named = {
        source.ReferencedSOPInstanceUID
        for frame in seg.PerFrameFunctionalGroupsSequence
        for source in frame.DerivationImageSequence[0].SourceImageSequence
    }
    for keyword in forgotten:
        if keyword in seg:
            del seg[keyword]

    assert named
    assert named <= referenced_instances(seg)
