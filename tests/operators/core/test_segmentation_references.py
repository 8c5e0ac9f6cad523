"""Segmentation references: the images that SEGs and structure sets name, and no studies."""

import copy

from pydicom import dcmread

from operators.core.segmentation_references import references_of, segmentations_in
from operators.load.load_series import load_series
from tests.builders import make_ct_series
from tests.segmented import make_hu, make_seg, make_structure_set


def only(folder):
    (instance,) = segmentations_in(load_series(folder))
    return instance


def uids(paths):
    return {str(dcmread(path).SOPInstanceUID) for path in paths}


def test_a_structure_set_refers_to_its_contour_images(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_structure_set(tmp_path / "rt.dcm", images, {"GTV": []})

    assert references_of(only(tmp_path)) == uids(images)


def test_a_seg_without_a_list_refers_to_what_its_frames_name(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())

    def forget_lists(seg):
        del seg.ReferencedSeriesSequence, seg.SourceImageSequence

    make_seg(tmp_path / "seg.dcm", images, edit=forget_lists)

    found = references_of(only(tmp_path))

    assert found
    assert found <= uids(images)


def test_of_several_series_the_one_that_is_asked_for(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())

    def add_a_series(seg):
        other = copy.deepcopy(seg.ReferencedSeriesSequence[0])
        other.SeriesInstanceUID = "1.2.3"
        del other.ReferencedInstanceSequence[1:]
        other.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
        seg.ReferencedSeriesSequence.append(other)

    make_seg(tmp_path / "seg.dcm", images, edit=add_a_series)
    series_uid = str(dcmread(images[0]).SeriesInstanceUID)

    assert references_of(only(tmp_path), "1.2.3") == {"1.2.3.4"}
    assert references_of(only(tmp_path), series_uid) == uids(images)
    assert references_of(only(tmp_path)) == uids(images) | {"1.2.3.4"}
