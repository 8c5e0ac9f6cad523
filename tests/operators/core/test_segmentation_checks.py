"""Segmentation checks: a valid SEG has no problem, and each defect is told in its own sentence."""

import copy

import pytest

from operators.core.object_checks import check_object
from tests.results import make_results


@pytest.fixture(scope="module")
def written():
    return make_results()


@pytest.fixture
def seg(written):
    return copy.deepcopy(written["seg"])


@pytest.fixture
def labelmap(written):
    return copy.deepcopy(written["labelmap"])


def delete(path):
    """Removes an attribute, its place given as keywords; the first items are meant."""

    def change(dataset):
        *above, last = path.split(".")
        for keyword in above:
            dataset = dataset[keyword].value[0]
        del dataset[last]

    return change


def put(path, value):
    def change(dataset):
        *above, last = path.split(".")
        for keyword in above:
            dataset = dataset[keyword].value[0]
        setattr(dataset, last, value)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (delete("SegmentSequence.SegmentLabel"), "segment 1 has no SegmentLabel (0062,0005)"),
        (delete("SegmentSequence.SegmentAlgorithmType"), "segment 1 has no SegmentAlgorithmType (0062,0008)"),
        (delete("SegmentSequence.SegmentAlgorithmName"), "segment 1 has no SegmentAlgorithmName (0062,0009)"),
        (
            delete("SegmentSequence.SegmentedPropertyTypeCodeSequence"),
            "segment 1 has no SegmentedPropertyTypeCodeSequence (0062,000F)",
        ),
        (
            put("SegmentSequence.SegmentedPropertyCategoryCodeSequence.CodeMeaning", ""),
            "segment 1 has no SegmentedPropertyCategoryCodeSequence (0062,0003)",
        ),
        (
            delete("SegmentSequence.TrackingUID"),
            "segment 1 has one of TrackingID and TrackingUID without the other (PS3.3 C.8.20.2)",
        ),
        (
            put("SegmentationType", "LABELMAP"),
            "SegmentationType (0062,0001) is none that its SOP Class has: BINARY, FRACTIONAL (PS3.3 C.8.20.2)",
        ),
        (put("Modality", "OT"), "Modality (0008,0060) is not SEG"),
        (delete("AccessionNumber"), "AccessionNumber is absent"),
        (delete("SeriesNumber"), "SeriesNumber is absent"),
    ],
)
def test_defect_is_told(seg, change, sentence):
    change(seg)

    assert check_object(seg) == [sentence]


def test_two_frames_of_a_segment_in_one_place_are_found(seg):
    first, second = seg.PerFrameFunctionalGroupsSequence[:2]
    second.PlanePositionSequence = copy.deepcopy(first.PlanePositionSequence)
    second.DerivationImageSequence = copy.deepcopy(first.DerivationImageSequence)

    assert "the frames 1 and 2 show the same segment in the same place" in check_object(seg)


def test_a_label_map_may_have_the_background_as_segment_0(labelmap):
    assert labelmap.SegmentSequence[0].SegmentNumber == 0
    assert check_object(labelmap) == []


def test_a_label_map_with_a_segment_number_twice_is_found(labelmap):
    labelmap.SegmentSequence[2].SegmentNumber = labelmap.SegmentSequence[1].SegmentNumber

    assert check_object(labelmap) == ["Segment Numbers [1] are there twice"]


def test_a_label_map_with_too_few_pixels_is_found(labelmap):
    labelmap.PixelData = labelmap.PixelData[:-2]

    assert check_object(labelmap)[0].startswith("PixelData has")


def test_frames_on_a_slide_are_not_judged_by_patient_coordinates(seg):
    seg.TotalPixelMatrixRows = 6
    for frame in seg.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence

    assert not [p for p in check_object(seg) if "ImagePositionPatient" in p]


def test_a_sequence_that_cannot_be_read_is_a_problem_and_no_crash(written):
    seg = copy.copy(written["seg"])
    raw = seg.get_item("SegmentSequence")
    seg._dict = {**seg._dict, raw.tag: raw._replace(value=b"\xfe\xff\x00\xe0" + b"\xff" * 9)}

    (problem,) = check_object(seg)
    assert problem.startswith("it cannot be read: ")
