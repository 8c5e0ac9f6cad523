"""SelectSegmentedSeries: the series that is referred to is taken, be another one never so fit."""

import copy

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from operators.core.errors import InputRefused, NotApplicable
from operators.core.manifest import Criteria
from operators.load.load_series import load_series
from operators.select.select_segmented_series import select_segmented_series
from tests.builders import make_ct_series
from tests.segmented import CRITERIA, make_hu, make_seg, make_structure_set, make_study, select


def example(tmp_path):
    return CRITERIA, {"folder": load_series(make_study(tmp_path))}


def test_the_series_that_is_referred_to_is_taken_and_no_larger_one(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_ct_series(tmp_path / "larger", slices=40, uid_seed="larger")
    make_seg(tmp_path / "seg.dcm", images)

    _, selection = select(tmp_path)

    assert {frame.instance.path for frame in selection.volume.frames} == set(images)


def make_two_phases(folder, *common):
    """Two series of one study and one Frame of Reference; the second is the one that is taken of equals."""
    images = make_ct_series(folder / "ct", hu=make_hu(), edit=lambda d, _: setattr(d, "TemporalPositionIdentifier", 1))
    keywords = ("StudyInstanceUID", "FrameOfReferenceUID", *common)
    shared = {keyword: dcmread(images[0])[keyword].value for keyword in keywords} | {"TemporalPositionIdentifier": 2}
    phase = make_ct_series(
        folder / "phase", hu=make_hu(), uid_seed="phase", edit=lambda dataset, _: dataset.update(shared)
    )
    return images, phase


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_of_several_series_that_are_listed_the_one_is_taken_that_frames_were_drawn_on(tmp_path, kind):
    images, phase = make_two_phases(tmp_path)

    def list_both(seg):
        other = copy.deepcopy(seg.ReferencedSeriesSequence[0])
        other.SeriesInstanceUID = dcmread(phase[0]).SeriesInstanceUID
        for item, path in zip(other.ReferencedInstanceSequence, phase, strict=True):
            item.ReferencedSOPInstanceUID = dcmread(path).SOPInstanceUID
        seg.ReferencedSeriesSequence.append(other)

    make_seg(tmp_path / "seg.dcm", images, kind=kind, edit=list_both)

    _, selection = select(tmp_path)

    assert {frame.instance.path for frame in selection.volume.frames} == set(images)


def test_of_several_series_that_are_listed_the_one_is_taken_that_contours_lie_on(tmp_path):
    images, phase = make_two_phases(tmp_path)
    path = make_structure_set(tmp_path / "rt.dcm", images + phase, {"GTV": [np.eye(3)]})
    structure_set, image = dcmread(path), Dataset()
    image.ReferencedSOPInstanceUID = dcmread(images[0]).SOPInstanceUID
    structure_set.ROIContourSequence[0].ContourSequence[0].ContourImageSequence = [image]
    structure_set.save_as(path)

    _, selection = select(tmp_path)

    assert {frame.instance.path for frame in selection.volume.frames} == set(images)


@pytest.mark.parametrize("which", [0, 1])
def test_of_several_volumes_of_a_series_the_one_is_taken_that_frames_were_drawn_on(tmp_path, which):
    phases = make_two_phases(tmp_path, "SeriesInstanceUID")
    make_seg(tmp_path / "seg.dcm", phases[which])

    _, selection = select(tmp_path)

    assert {frame.instance.path for frame in selection.volume.frames} == set(phases[which])


def test_volumes_of_a_series_that_are_segmented_both_are_refused(tmp_path):
    phases = make_two_phases(tmp_path, "SeriesInstanceUID")
    for number, images in enumerate(phases):
        make_seg(tmp_path / f"seg{number}.dcm", images)

    with pytest.raises(InputRefused, match="the series holds 2 volumes"):
        select(tmp_path)


def test_a_folder_without_a_segmentation_is_not_applicable(tmp_path):
    make_ct_series(tmp_path / "ct")

    with pytest.raises(NotApplicable, match="holds no Segmentation"):
        select(tmp_path)


def test_a_segmentation_without_its_images_is_not_applicable_and_says_what_to_send(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_seg(tmp_path / "seg" / "seg.dcm", images)
    make_ct_series(tmp_path / "seg" / "other", uid_seed="other")

    with pytest.raises(NotApplicable, match=r"refers to 12 images, none of which is in the folder.*with_sources"):
        select_segmented_series(load_series(tmp_path / "seg"), CRITERIA)


def test_the_criteria_hold_for_what_is_referred_to(tmp_path):
    make_study(tmp_path)
    criteria = Criteria.model_validate({"must": {"modality": {"any_of": ["MR"]}}})

    with pytest.raises(NotApplicable, match="modality is CT"):
        select_segmented_series(load_series(tmp_path), criteria)
