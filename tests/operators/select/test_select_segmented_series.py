"""SelectSegmentedSeries: the series that is referred to is taken, be another one never so fit."""

import pytest

from operators.core.errors import NotApplicable
from operators.core.manifest import Criteria
from operators.load.load_series import load_series
from operators.select.select_segmented_series import select_segmented_series
from tests.builders import make_ct_series
from tests.segmented import CRITERIA, make_hu, make_seg, make_study, select


def example(tmp_path):
    return CRITERIA, {"folder": load_series(make_study(tmp_path))}


def test_the_series_that_is_referred_to_is_taken_and_no_larger_one(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    make_ct_series(tmp_path / "larger", slices=40, uid_seed="larger")
    make_seg(tmp_path / "seg.dcm", images)

    _, selection = select(tmp_path)

    assert {frame.instance.path for frame in selection.volume.frames} == set(images)


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
