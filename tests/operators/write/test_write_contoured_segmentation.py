"""WriteContouredSegmentation: contours as a valid SEG that others read voxel by voxel; a SEG is not written again."""

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread

from operators.core.object_checks import check_object
from operators.runtime.sdk import Application
from operators.write.write_contoured_segmentation import WriteContouredSegmentation
from operators.write.write_segmentation import WriteParameters
from tests.builders import make_ct_series, make_identity
from tests.judges import dciodvfy_errors, read_segments
from tests.operators.load.test_structure_set_regions import circle
from tests.segmented import make_hu, make_structure_set, make_study, read, sitk_image, whole


def make_contoured_study(folder):
    """Two overlapping ROIs and one without a contour."""
    images = make_ct_series(folder / "ct", hu=make_hu())
    make_structure_set(folder / "rt.dcm", images, {"any": []})
    affine = read(folder)[0].affine_lps
    rois = {
        "GTV": [circle(index, 4.2, affine) for index in (3, 4, 5)],
        "none": [],
        "PTV": [circle(index, 6.3, affine) for index in (2, 3, 4, 5, 6)],
    }
    make_structure_set(folder / "rt.dcm", images, rois)
    return folder


def example(tmp_path):
    volume, regions = read(make_contoured_study(tmp_path / "study"))
    return WriteParameters(tmp_path), {"volume": volume, "label_map": regions, "identity": make_identity()}


def written(tmp_path):
    parameters, inputs = example(tmp_path)
    return inputs, WriteContouredSegmentation(Application(), parameters).process(**inputs)


def test_others_read_the_masks_that_were_measured(tmp_path):
    inputs, seg = written(tmp_path)
    (tmp_path / "dcmqi").mkdir()

    judged = read_segments(seg.path, tmp_path / "dcmqi")

    assert dciodvfy_errors(seg.path) == []
    assert sorted(judged) == ["GTV", "PTV"]
    for region in (region for region in inputs["label_map"].regions if region.voxels):
        mask = sitk_image(whole(region).astype(np.uint8), inputs["volume"].affine_lps)
        theirs = SimpleITK.Resample(
            judged[region.segment.label], mask, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
        )
        assert np.array_equal(SimpleITK.GetArrayFromImage(theirs) > 0, whole(region))


def test_segments_say_who_drew_them_and_are_followed_by_one_uid(tmp_path):
    inputs, seg = written(tmp_path)

    items = dcmread(seg.path).SegmentSequence

    origins = [inputs["label_map"].segment(name).origin for name in ("gtv", "ptv")]
    assert [item.SegmentAlgorithmType for item in items] == ["MANUAL", "MANUAL"]
    assert [item.TrackingUID for item in items] == [origin.tracking_uid for origin in origins]
    assert all("SegmentAlgorithmName" not in item for item in items)


def test_labels_keep_letters_that_the_images_character_set_lacks(tmp_path):
    folder = make_contoured_study(tmp_path / "study")
    structure_set = dcmread(folder / "rt.dcm")
    structure_set.SpecificCharacterSet = "GB18030"
    for roi, name in zip(structure_set.StructureSetROISequence, ("肿瘤", "无", "靶区"), strict=True):
        roi.ROIName = name
    structure_set.save_as(folder / "rt.dcm")
    volume, regions = read(folder)

    seg = WriteContouredSegmentation(Application(), WriteParameters(tmp_path)).process(volume, regions, make_identity())

    assert [item.SegmentLabel for item in dcmread(seg.path).SegmentSequence] == ["肿瘤", "靶区"]
    assert dciodvfy_errors(seg.path) == []


def describe_at_length(roi, _contoured, observed):
    roi.ROIName = "Nodal disease of the left upper neck, level II,\r\nwith the boost after chemotherapy"
    roi.ROIGenerationAlgorithm, roi.ROIGenerationDescription = "AUTOMATIC", "Contours of a network, see manual.\r\n" * 5
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "TX-1", "99ELSEWHERE", "Lymph node " * 9
    observed.RTROIIdentificationCodeSequence = [code]


def colour(*values):
    return lambda _roi, contoured, _observed: setattr(contoured, "ROIDisplayColor", list(values))


@pytest.mark.filterwarnings("ignore:The value length:UserWarning", "ignore:Invalid value for VR LO:UserWarning")
@pytest.mark.parametrize(
    "change",
    [describe_at_length, colour(300, 0, 0), colour(-1, 0, 0), colour(1, 2)],
    ids=["long texts", "too bright", "negative", "two numbers"],
)
def test_what_a_structure_set_says_against_the_standard_makes_no_invalid_seg(tmp_path, change):
    folder = make_contoured_study(tmp_path / "study")
    structure_set = dcmread(folder / "rt.dcm")
    for items in zip(
        structure_set.StructureSetROISequence,
        structure_set.ROIContourSequence,
        structure_set.RTROIObservationsSequence,
        strict=True,
    ):
        change(*items)
    structure_set.save_as(folder / "rt.dcm")
    volume, regions = read(folder)

    seg = WriteContouredSegmentation(Application(), WriteParameters(tmp_path)).process(volume, regions, make_identity())

    assert dciodvfy_errors(seg.path) == []
    assert check_object(dcmread(seg.path)) == []


def test_what_came_as_a_seg_is_not_written_again(tmp_path):
    volume, regions = read(make_study(tmp_path / "study"))
    step = WriteContouredSegmentation(Application(), WriteParameters(tmp_path))

    assert step.process(volume, regions, make_identity()) is None
    assert not (tmp_path / "seg.dcm").exists()
