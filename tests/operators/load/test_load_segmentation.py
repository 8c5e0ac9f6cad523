"""LoadSegmentation: every kind of SEG gives the masks that were put in, and what does not fit is refused."""

import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread
from pydicom.uid import RLELossless

from operators.core.errors import InputRefused
from operators.core.segmented_regions import Grid
from operators.load.load_segmentation import LoadSegmentationParameters
from tests.builders import ALGORITHM, AXIAL_FEET, CORONAL, OBLIQUE, make_affine, make_ct_series
from tests.judges import read_segments
from tests.segmented import (
    MASKS,
    PRIVATE_TYPE,
    SHAPE,
    TRACKING,
    blob,
    images_of,
    make_hu,
    make_seg,
    make_structure_set,
    make_study,
    read,
    select,
    sitk_image,
    whole,
)


def example(tmp_path):
    folder, selection = select(make_study(tmp_path / "study"))
    return LoadSegmentationParameters(ALGORITHM), {"folder": folder, "selection": selection}


def masks_of(regions):
    return {region.segment.label: whole(region, regions.source_grid) for region in regions.regions}


@pytest.mark.parametrize("directions", [None, AXIAL_FEET, CORONAL, OBLIQUE])
def test_binary_segments_overlap_and_lie_where_they_were_drawn(tmp_path, directions):
    volume, regions = read(make_study(tmp_path, directions=directions))

    for region in regions.regions:
        drawn = MASKS[region.segment.label]
        box = region.on(Grid(volume.array.shape, volume.affine_lps.copy()))
        # The loader orders slices along their normal; values tell which voxel is which.
        assert np.array_equal(np.sort(volume.array[box.slices][box.mask]), np.sort(make_hu()[drawn]))
    assert (MASKS["Kidney"] & MASKS["Lesion"]).any()


def test_empty_frames_that_were_left_out_are_empty_slices(tmp_path):
    mask = np.zeros(SHAPE, bool)
    mask[2, 3:6, 4:9] = mask[9, 5:7, 1:3] = True

    _, regions = read(make_study(tmp_path, masks={"Lesion": mask}))

    (region,) = regions.regions
    assert region.grid.spacing_mm[0] == pytest.approx(3.0)
    assert region.voxels == mask.sum()
    assert np.flatnonzero(region.box.mask.any(axis=(1, 2))).tolist() == [0, 7]


@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.7])
def test_fractional_voxels_count_from_the_threshold_on(tmp_path, threshold):
    probabilities = np.random.default_rng(3).random(SHAPE)
    folder = make_study(tmp_path, masks={"Lesion": probabilities}, kind="FRACTIONAL")

    _, regions = read(folder, threshold)

    stored = np.around(probabilities * 200) / 200
    assert np.array_equal(masks_of(regions)["Lesion"], stored >= threshold)
    assert f"at least {threshold:g}" in regions.regions[0].remark
    assert regions.objects[0].kind == "FRACTIONAL"


@pytest.mark.parametrize("percent", [7, 14, 28, 29, 55, 56, 57, 58, 100])
def test_a_fraction_that_is_the_threshold_counts(tmp_path, percent):
    def in_percent(seg):
        seg.MaximumFractionalValue = 100
        seg.PixelData = np.where(np.frombuffer(seg.PixelData, np.uint8) > 0, percent, 0).astype(np.uint8).tobytes()

    folder = make_study(tmp_path, masks={"Lesion": MASKS["Lesion"] * 1.0}, kind="FRACTIONAL", edit=in_percent)

    _, regions = read(folder, percent / 100)

    assert np.array_equal(masks_of(regions)["Lesion"], MASKS["Lesion"])


@pytest.mark.parametrize("encode", [False, True], ids=["native", "rle"])
def test_labels_of_a_label_map_are_its_segments(tmp_path, encode):
    folder = make_study(tmp_path, kind="LABELMAP")
    if encode:
        dataset = dcmread(folder / "seg.dcm")
        dataset.compress(RLELossless)
        dataset.save_as(folder / "seg.dcm")

    found = masks_of(read(folder)[1])

    assert np.array_equal(found["Kidney"], MASKS["Kidney"] & ~MASKS["Lesion"])
    assert np.array_equal(found["Lesion"], MASKS["Lesion"])


@pytest.mark.parametrize("described", [True, False], ids=["described", "implied"])
def test_the_background_of_a_label_map_is_its_padding_whatever_number_it_has(tmp_path, described):
    def renumber(seg):
        labels = np.frombuffer(seg.PixelData, np.uint8)
        # The kidney is 0 now, and what is around it 9.
        seg.PixelData = np.choose(labels, [9, 0, 2]).astype(np.uint8).tobytes()
        background, kidney, _ = seg.SegmentSequence
        seg.PixelPaddingValue = background.SegmentNumber = 9
        kidney.SegmentNumber = 0
        if not described:
            del seg.SegmentSequence[0]

    _, regions = read(make_study(tmp_path, kind="LABELMAP", edit=renumber))

    found = masks_of(regions)
    assert set(found) == {"Kidney", "Lesion"}
    assert [region.number for region in regions.regions] == [0, 2]
    assert np.array_equal(found["Kidney"], MASKS["Kidney"] & ~MASKS["Lesion"])
    assert np.array_equal(found["Lesion"], MASKS["Lesion"])


def test_without_a_padding_value_0_is_the_background_of_a_label_map(tmp_path):
    folder = make_study(tmp_path, kind="LABELMAP", edit=lambda seg: delattr(seg, "PixelPaddingValue"))

    assert set(masks_of(read(folder)[1])) == {"Kidney", "Lesion"}


def test_frames_whose_bits_do_not_end_with_a_byte_are_read(tmp_path):
    shape = (5, 7, 9)
    mask = np.random.default_rng(1).random(shape) > 0.5
    images = make_ct_series(tmp_path / "ct", hu=make_hu(shape))
    make_seg(tmp_path / "seg.dcm", images, {"Lesion": mask})

    (region,) = read(tmp_path)[1].regions

    assert np.array_equal(whole(region), mask)


def test_masks_are_those_that_dcmqi_reads(tmp_path):
    volume, regions = read(make_study(tmp_path / "study"))
    (tmp_path / "dcmqi").mkdir()

    judged = read_segments(tmp_path / "study" / "seg.dcm", tmp_path / "dcmqi")

    for region in regions.regions:
        image = sitk_image(whole(region, regions.source_grid).astype(np.uint8), volume.affine_lps)
        theirs = SimpleITK.Resample(
            judged[region.segment.label], image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0
        )
        assert np.array_equal(SimpleITK.GetArrayFromImage(theirs) > 0, SimpleITK.GetArrayFromImage(image) > 0)


def test_a_grid_of_its_own_is_kept_with_its_voxels(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    affine = make_affine(OBLIQUE, (2.0, 1.1, 0.9), (-10.0, 5.0, 45.0))
    grid = Grid((7, 9, 11), affine)
    mask = blob(grid.shape, (3, 4, 5), (2.4, 3, 4))
    make_seg(tmp_path / "seg.dcm", images, {"Lesion": mask}, grid=grid)

    (region,) = read(tmp_path)[1].regions

    assert region.voxels == mask.sum()
    assert region.grid.spacing_mm == pytest.approx((2.0, 1.1, 0.9))
    first = np.argwhere(mask).min(axis=0)
    assert (region.grid.affine_lps @ (*region.corner, 1))[:3] == pytest.approx((affine @ (*first, 1))[:3])


def test_a_stated_distance_that_is_rounded_does_not_add_up(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    grid = Grid((40, 5, 6), make_affine(OBLIQUE, (2.04, 1.1, 0.9)))
    mask = np.ones(grid.shape, bool)
    make_seg(
        tmp_path / "seg.dcm", images, {"Lesion": mask}, grid=grid, edit=lambda seg: state_spacing(seg, spacing_mm=2.0)
    )

    (region,) = read(tmp_path)[1].regions

    assert region.grid.shape == grid.shape
    assert region.grid.spacing_mm[0] == pytest.approx(2.04, rel=1e-4)


def test_codes_labels_and_tracking_are_those_of_the_object(tmp_path):
    kidney, lesion = (region.segment for region in read(make_study(tmp_path))[1].regions)

    assert (kidney.label, kidney.name, kidney.type.value) == ("Kidney", "kidney", "64033007")
    assert (kidney.modifier.value, kidney.modifier.scheme_designator) == ("24028007", "SCT")
    assert (kidney.origin.tracking_id, kidney.origin.tracking_uid) == TRACKING["Kidney"]
    assert (lesion.type.value, lesion.type.scheme_designator) == (PRIVATE_TYPE.value, PRIVATE_TYPE.scheme_designator)
    assert lesion.origin.algorithm_type == "MANUAL"


def test_tracking_that_is_absent_is_the_same_in_every_run(tmp_path):
    make_study(tmp_path, tracked=False)

    first, second = ([s.origin.tracking_uid for s in read(tmp_path)[1].segments] for _ in range(2))

    assert first == second
    assert len(set(first)) == 2


def test_segments_of_one_label_get_names_of_their_own(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    for name in ("a", "b"):
        make_seg(tmp_path / f"{name}.dcm", images, {"Lesion": MASKS["Lesion"]})

    _, regions = read(tmp_path)

    assert [segment.name for segment in regions.segments] == ["lesion", "lesion_2"]
    assert len(regions.objects) == 2


def test_identity_depends_on_every_byte_of_the_segmentation(tmp_path):
    make_study(tmp_path)
    (before,) = read(tmp_path)[1].slices
    make_seg(tmp_path / "seg.dcm", images_of(tmp_path), edit=lambda seg: setattr(seg, "ContentLabel", "OTHER"))

    (after,) = read(tmp_path)[1].slices

    assert before.pixel_sha256 != after.pixel_sha256


def set_value(keyword, value):
    return lambda seg: setattr(seg, keyword, value)


def state_spacing(seg, spacing_mm=1.5):
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = spacing_mm


def swap_references(seg):
    first, last = seg.PerFrameFunctionalGroupsSequence[0], seg.PerFrameFunctionalGroupsSequence[2]
    first.PlanePositionSequence, last.PlanePositionSequence = last.PlanePositionSequence, first.PlanePositionSequence


def fly_away(seg):
    seg.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0].ImagePositionPatient = [-12.5, 7.25, 9000000040]


def lose_a_frame(seg):
    seg.NumberOfFrames = int(seg.NumberOfFrames) - 1


def name_a_stranger(seg):
    seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def share_tracking(seg):
    for item in seg.SegmentSequence:
        item.TrackingID, item.TrackingUID = "one", "1.2.3"


def rename_segments(seg):
    for item in seg.SegmentSequence:
        item.SegmentNumber += 5


def tile(seg):
    seg.TotalPixelMatrixRows = seg.TotalPixelMatrixColumns = 100


@pytest.mark.parametrize(
    ("edit", "code", "sentence"),
    [
        (set_value("FrameOfReferenceUID", "1.2.3"), "mixed_frame_of_reference", "FrameOfReferenceUID"),
        (set_value("PatientID", "somebody else"), "mixed_patient", "PatientID"),
        (set_value("StudyInstanceUID", "1.2.3"), "mixed_study", "StudyInstanceUID"),
        (state_spacing, "unfit_segmentation", "how high its voxels are cannot be told"),
        (swap_references, "unfit_segmentation", "lie on another source image than the one that they refer to"),
        (fly_away, "unfit_segmentation", "more than any scan"),
        (lose_a_frame, "unfit_segmentation", "frames are described"),
        (name_a_stranger, "unfit_segmentation", "1 of the 12 images that it refers to are not there"),
        (share_tracking, "unfit_segmentation", "is that of several segments"),
        (rename_segments, "unfit_segmentation", "which is not described"),
        (set_value("SegmentationType", "OTHER"), "unfit_segmentation", "SegmentationType (0062,0001) is none"),
        (tile, "unfit_segmentation", "tiles of a slide"),
        (set_value("SegmentSequence", []), "unfit_segmentation", "describes no segment"),
    ],
)
def test_what_does_not_fit_its_images_is_refused_with_the_reason(tmp_path, edit, code, sentence):
    folder = make_study(tmp_path, edit=edit)

    with pytest.raises(InputRefused) as refused:
        read(folder)

    assert code in [finding.code for finding in refused.value.findings]
    assert sentence in str(refused.value)
    assert "somebody else" not in str(refused.value)


def test_segments_whose_positions_differ_in_the_last_digits_lie_on_one_grid(tmp_path):
    def lose_digits(seg):
        for frame in seg.PerFrameFunctionalGroupsSequence:
            place = frame.PlanePositionSequence[0]
            frame.PlanePositionSequence = [Dataset()]
            position = [float(value) for value in place.ImagePositionPatient]
            number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            frame.PlanePositionSequence[0].ImagePositionPatient = [round(p + 6e-5 * (number - 1), 5) for p in position]

    _, regions = read(make_study(tmp_path, edit=lose_digits))

    found = masks_of(regions)
    assert {name: mask.tolist() for name, mask in found.items()} == {k: m.tolist() for k, m in MASKS.items()}
    for region in regions.regions:
        assert region.grid.spacing_mm == pytest.approx((3.0, 0.8, 0.6), rel=1e-4)


def test_fractions_of_an_unknown_whole_are_refused(tmp_path):
    folder = make_study(tmp_path, kind="FRACTIONAL", edit=lambda seg: delattr(seg, "MaximumFractionalValue"))

    with pytest.raises(InputRefused, match="MaximumFractionalValue"):
        read(folder)


def test_two_segments_of_one_number_are_refused(tmp_path):
    def number_alike(seg):
        for item in seg.SegmentSequence:
            item.SegmentNumber = 1
        for frame in seg.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = 1

    folder = make_study(tmp_path, edit=number_alike)

    with pytest.raises(InputRefused, match="it describes several segments with the number 1"):
        read(folder)


def test_cut_pixels_are_refused(tmp_path):
    folder = make_study(tmp_path, kind="LABELMAP")
    dataset = dcmread(folder / "seg.dcm")
    dataset.PixelData = dataset.PixelData[:-400]
    dataset.save_as(folder / "seg.dcm")

    with pytest.raises(InputRefused, match="undecodable_pixels"):
        read(folder)


def test_a_segmentation_of_another_series_is_refused(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    others = make_ct_series(tmp_path / "ct2", slices=4, rows=6, columns=5, uid_seed="another")
    make_seg(tmp_path / "a.dcm", images)
    make_seg(tmp_path / "b.dcm", others, {"Lesion": np.ones((4, 6, 5), bool)}, edit=lambda seg: None)

    with pytest.raises(InputRefused, match="refers to no image of the series"):
        read(tmp_path)


def test_a_structure_set_in_another_frame_of_reference_is_refused(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    path = make_structure_set(tmp_path / "rt.dcm", images, {"GTV": []})
    dataset = dcmread(path)
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3"
    dataset.save_as(path)

    with pytest.raises(InputRefused, match="mixed_frame_of_reference"):
        read(tmp_path)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.01, float("nan")])
def test_a_threshold_that_is_no_fraction_is_refused(threshold):
    with pytest.raises(ValueError, match="fractional_threshold"):
        LoadSegmentationParameters(ALGORITHM, threshold)
