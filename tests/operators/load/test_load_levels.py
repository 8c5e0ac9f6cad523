"""LoadLevels: vertebrae of a Segmentation are levels where nothing speaks against it, and nowhere else."""

import numpy as np
import pytest
from pydicom import Dataset

from operators.core.catalogue import entry
from operators.core.vertebrae import body_centre_lps
from operators.load.load_levels import load_levels
from operators.load.load_segmentation import LoadSegmentationParameters
from operators.load.load_series import load_series
from operators.select.select_series import select_series
from tests.builders import ALGORITHM, AXIAL, AXIAL_FEET, make_ct_series
from tests.segmented import CRITERIA, make_hu, make_seg, read

SHAPE = (26, 24, 20)
SPACING_MM = (3.0, 2.0, 2.0)
PARAMETERS = LoadSegmentationParameters(ALGORITHM)
MIDDLES = {"L1": 20.0, "L2": 13.0, "L3": 6.0}
"""Slices counted from the feet, of bodies 5 slices high."""


def body(middle: float, half=2) -> np.ndarray:
    """`(slices, rows, columns)`, a box for a vertebral body with a spinous process behind and below it."""
    mask = np.zeros(SHAPE, bool)
    mask[int(middle) - half : int(middle) + half + 1, 6:16, 4:16] = True
    mask[int(middle) - half - 3 : int(middle) - 1, 16:22, 9:11] = True
    return mask


def code_types(names):
    """An edit that gives segments the codes of vertebrae, and labels that say nothing."""

    def edit(seg: Dataset) -> None:
        for item, name in zip(seg.SegmentSequence, names, strict=True):
            type_ = entry(f"vertebrae_{name}").type
            (code,) = item.SegmentedPropertyTypeCodeSequence
            code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = type_.value, "SCT", type_.meaning
            item.SegmentLabel = f"Bone {item.SegmentNumber}"

    return edit


def make_study(folder, masks=None, *, directions=AXIAL, edit=None, name="seg.dcm"):
    """A CT and a SEG of vertebrae by TotalSegmentator's names; slices of the masks count from the feet."""
    masks = {key: body(middle) for key, middle in MIDDLES.items()} if masks is None else masks
    along = slice(None, None, -1 if directions is AXIAL_FEET else 1)
    images = make_ct_series(folder / "ct", spacing_mm=SPACING_MM, hu=make_hu(SHAPE), directions=directions)
    labelled = {f"vertebrae_{key}": mask[along] for key, mask in masks.items()}
    make_seg(folder / name, images, labelled, edit=edit)
    return folder


def levels_of(folder):
    loaded = load_series(folder)
    selection = select_series(loaded, CRITERIA)
    return load_levels(loaded, selection, PARAMETERS), selection.volume


def example(tmp_path):
    folder = load_series(make_study(tmp_path / "study"))
    return PARAMETERS, {"folder": folder, "selection": select_series(folder, CRITERIA)}


def heights(levels, volume):
    """LPS z of the slices of the levels."""
    return {name: float((volume.affine_lps @ (index, 0, 0, 1))[2]) for name, index in levels.landmarks.items()}


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET])
def test_a_level_is_the_middle_of_the_body_whatever_lies_behind_it(tmp_path, directions):
    levels, volume = levels_of(make_study(tmp_path, directions=directions))

    lowest = min(float((volume.affine_lps @ (index, 0, 0, 1))[2]) for index in (0, SHAPE[0] - 1))
    expected = {f"vertebra_{key.lower()}": lowest + middle * SPACING_MM[0] for key, middle in MIDDLES.items()}
    assert heights(levels, volume) == pytest.approx(expected)
    assert levels.unusable == levels.cut == ()
    assert len(levels.sources) == len(levels.slices) == 1


def test_codes_name_vertebrae_as_labels_do(tmp_path):
    by_label, _ = levels_of(make_study(tmp_path / "a"))
    by_code, _ = levels_of(make_study(tmp_path / "b", edit=code_types(MIDDLES)))

    assert by_code.landmarks == by_label.landmarks != {}


def test_code_and_label_that_contradict_each_other_give_no_level(tmp_path):
    def edit(seg):
        code_types(MIDDLES)(seg)
        seg.SegmentSequence[2].SegmentLabel = "vertebrae_L4"

    levels, _ = levels_of(make_study(tmp_path, edit=edit))

    assert set(levels.landmarks) == {"vertebra_l1", "vertebra_l2"}
    (sentence,) = levels.unusable
    assert "Segment 3" in sentence
    assert "L3" in sentence
    assert "L4" in sentence


def test_a_vertebra_that_two_segments_claim_has_no_level(tmp_path):
    folder = make_study(tmp_path)
    images = sorted((folder / "ct").iterdir())
    make_seg(folder / "other.dcm", images, {"vertebrae_L2": body(15.0)})

    levels, _ = levels_of(folder)

    assert set(levels.landmarks) == {"vertebra_l1", "vertebra_l3"}
    assert levels.unusable == ("L2 vertebra has no level: 2 segments claim to be it.",)


@pytest.mark.parametrize(("cut", "end"), [("L1", -1), ("L3", 0)])
def test_a_vertebra_that_reaches_the_end_of_the_scan_has_no_level(tmp_path, cut, end):
    masks = {key: body(middle) for key, middle in MIDDLES.items()}
    masks[cut][end, 8, 8] = True

    levels, _ = levels_of(make_study(tmp_path, masks))

    assert levels.cut == (f"vertebra_{cut.lower()}",)
    assert set(levels.landmarks) == {f"vertebra_{key.lower()}" for key in MIDDLES if key != cut}
    assert levels.unusable == ()


def test_vertebrae_that_do_not_follow_each_other_give_no_level(tmp_path):
    levels, _ = levels_of(make_study(tmp_path, {"L1": body(6.0), "L2": body(13.0), "L3": body(20.0)}))

    assert levels.landmarks == {}
    assert "do not follow each other" in levels.unusable[0]


def test_a_segmentation_that_does_not_fit_is_said_to_be_unusable_and_counts_as_input(tmp_path):
    folder = make_study(tmp_path, edit=lambda seg: setattr(seg, "FrameOfReferenceUID", "1.2.3"))

    levels, _ = levels_of(folder)

    assert levels.landmarks == {}
    assert len(levels.unusable) == len(levels.slices) == 1
    assert levels.sources == ()


def test_segmentations_of_other_things_or_of_other_images_are_left(tmp_path):
    folder = make_study(tmp_path / "study", {"L3": body(13.0)})
    elsewhere = make_ct_series(tmp_path / "elsewhere", spacing_mm=SPACING_MM, hu=make_hu(SHAPE), uid_seed="other")
    make_seg(folder / "seg.dcm", elsewhere, {"vertebrae_L3": body(13.0)})
    make_seg(folder / "kidney.dcm", sorted((folder / "ct").iterdir()), {"Kidney": body(13.0)})

    levels, _ = levels_of(folder)

    assert (levels.landmarks, levels.unusable, levels.slices) == ({}, (), ())


def test_images_alone_have_no_levels(tmp_path):
    make_ct_series(tmp_path, spacing_mm=SPACING_MM, hu=make_hu(SHAPE))

    levels, _ = levels_of(tmp_path)

    assert (levels.landmarks, levels.unusable, levels.cut, levels.slices) == ({}, (), (), ())


def test_centre_of_the_largest_ball_is_that_of_the_body(tmp_path):
    volume, regions = read(make_study(tmp_path, {"L3": body(13.0)}))
    (region,) = regions.regions

    centre = body_centre_lps(region)

    index = 13 if volume.affine_lps[2, 0] > 0 else SHAPE[0] - 14
    assert centre[2] == pytest.approx((volume.affine_lps @ (index, 0, 0, 1))[2])
    # The body fills rows 6 to 15 and columns 4 to 15; the ball has 9 mm, and room to move in them.
    assert centre[:2] == pytest.approx((volume.affine_lps @ (index, 10.5, 9.5, 1))[:2], abs=1.0)
