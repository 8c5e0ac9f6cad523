from pathlib import Path

import numpy as np
import pytest

from benchmarks.readings import shells_cm2
from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom, trunk_areas_cm2
from operators.segment.classical import TrunkSegmentationError, TrunkTissue, segment_trunk
from tests.operators.segment.classical.builders import dice, make_trunk

SHARED_DATA = Path(__file__).resolve().parents[5] / "shared" / "data"
SMALL, FULL = SHARED_DATA / "ct_totalseg_nifti_sm", SHARED_DATA / "ct_totalseg_nifti_full"
needs_data = pytest.mark.skipif(not SMALL.is_dir(), reason="shared/data is not here")


def _canonical(path):
    """Read an image with slices to the head, rows to posterior, columns to the left."""
    sitk = pytest.importorskip("SimpleITK")
    if path.is_dir():
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(path)))
        image = reader.Execute()
    else:
        image = sitk.ReadImage(str(path))
    image = sitk.DICOMOrient(image, "LPS")
    return sitk.GetArrayFromImage(image), image.GetSpacing()[::-1]


@pytest.fixture(scope="module")
def trunk():
    return make_trunk()


@pytest.fixture(scope="module")
def found(trunk):
    return segment_trunk(trunk.hu, trunk.spacing_mm)


@pytest.fixture(scope="module")
def small():
    hu, spacing_mm = _canonical(SMALL / "dicom")
    return hu.astype(np.int16), spacing_mm


def _references():
    names = {
        TrunkTissue.SAT: "subcutaneous_fat",
        TrunkTissue.VAT: "torso_fat",
        TrunkTissue.MUSCLE: "skeletal_muscle",
    }
    return {tissue: _canonical(SMALL / f"tissue_{name}.nii.gz")[0] > 0 for tissue, name in names.items()}


def _overlaps(labels, references, slices=slice(None)):
    return {tissue: dice(labels == tissue, reference[slices]) for tissue, reference in references.items()}


@pytest.mark.parametrize("tissue", [TrunkTissue.BONE, TrunkTissue.SAT, TrunkTissue.VAT, TrunkTissue.MUSCLE])
def test_every_tissue_of_a_plain_trunk_is_found(trunk, found, tissue):
    assert dice(found.labels == tissue, trunk.truth == tissue) > 0.95


def test_fat_between_skin_and_fascia_is_subcutaneous(trunk, found):
    assert np.mean(found.labels[trunk.truth == TrunkTissue.SAT] == TrunkTissue.SAT) > 0.95
    assert not (found.labels[trunk.truth != TrunkTissue.SAT] == TrunkTissue.SAT).any()


def test_labels_cover_the_body_and_nothing_else(trunk, found):
    assert found.labels.dtype == np.uint8
    np.testing.assert_array_equal(found.labels > 0, trunk.truth > 0)


def test_no_pelvis_and_no_chest_means_none(found):
    assert found.iliac_crest_slice is None
    assert found.thorax_slice is None


def test_input_stays_as_it_was_and_the_result_repeats_itself(trunk, found):
    hu = trunk.hu.copy()
    hu.setflags(write=False)

    again = segment_trunk(hu, trunk.spacing_mm)

    np.testing.assert_array_equal(hu, trunk.hu)
    np.testing.assert_array_equal(again.labels, found.labels)


def test_floating_point_hu_give_the_same_labels(trunk, found):
    np.testing.assert_array_equal(segment_trunk(trunk.hu.astype(np.float32), trunk.spacing_mm).labels, found.labels)


def test_a_mirrored_patient_gives_the_mirrored_labels(trunk, found):
    mirrored = segment_trunk(trunk.hu[:, :, ::-1], trunk.spacing_mm).labels[:, :, ::-1]

    assert dice(mirrored == TrunkTissue.MUSCLE, found.labels == TrunkTissue.MUSCLE) > 0.998
    assert dice(mirrored == TrunkTissue.VAT, found.labels == TrunkTissue.VAT) > 0.998


@pytest.mark.parametrize("spacing_mm", [(5.0, 1.5, 1.5), (1.5, 2.0, 2.5)])
def test_anisotropic_voxels_keep_the_volumes(spacing_mm):
    trunk = make_trunk(slices=10, spacing_mm=spacing_mm)

    labels = segment_trunk(trunk.hu, spacing_mm).labels

    for tissue in (TrunkTissue.BONE, TrunkTissue.SAT, TrunkTissue.VAT, TrunkTissue.MUSCLE):
        expected = np.count_nonzero(trunk.truth == tissue)
        assert np.count_nonzero(labels == tissue) == pytest.approx(expected, rel=0.05), tissue


@pytest.mark.parametrize(("slices", "thickness_mm", "centre_z_mm"), [(12, 1.0, 17.0), (8, 5.0, 10.0)])
def test_bone_of_every_slice_is_right_where_tilted_end_plates_and_discs_are_cut(slices, thickness_mm, centre_z_mm):
    parameters = TrunkPhantomParameters(
        slices=slices, spacing_mm=(thickness_mm, 1.2, 1.2), centre_z_mm=centre_z_mm, field_mm=(330.0, 400.0)
    )
    phantom = build_trunk_phantom(parameters)

    bone = segment_trunk(phantom.hu, parameters.spacing_mm).labels == TrunkTissue.BONE

    areas = np.count_nonzero(bone, axis=(1, 2)) * 1.2**2 / 100
    true = trunk_areas_cm2(parameters, range(slices))["bone"]
    shells = shells_cm2(phantom.truth_labels == PhantomTissue.BONE, 1.2)
    assert np.all(np.abs(areas - true) <= np.maximum(0.02 * true, shells))


def test_a_body_cut_by_the_field_is_segmented(trunk):
    labels = segment_trunk(trunk.hu[:, :, 15:-15], trunk.spacing_mm).labels

    assert dice(labels == TrunkTissue.VAT, trunk.truth[:, :, 15:-15] == TrunkTissue.VAT) > 0.9


def test_from_the_iliac_crest_down_only_bone_and_other_are_labelled(trunk):
    hu = trunk.hu.copy()
    for columns in (slice(18, 22), slice(98, 102)):
        hu[:5, 35:60, columns], hu[:5, 37:58, columns][:, :, 1:3] = 500, 200

    found = segment_trunk(hu, trunk.spacing_mm)

    assert found.iliac_crest_slice == 4
    assert set(np.unique(found.labels[:5])) <= {0, TrunkTissue.OTHER, TrunkTissue.BONE}
    assert (found.labels[5:] == TrunkTissue.VAT).any()


def test_lungs_that_fill_the_inside_mark_the_thorax(trunk):
    hu = trunk.hu.copy()
    hu[8:][trunk.truth[8:] == TrunkTissue.VAT] = -850

    assert segment_trunk(hu, trunk.spacing_mm).thorax_slice == 8


def test_progress_rises_from_start_to_end(trunk):
    seen = []

    segment_trunk(trunk.hu, trunk.spacing_mm, progress=lambda fraction, step: seen.append((fraction, step)))

    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_air_is_refused():
    with pytest.raises(TrunkSegmentationError, match="No body"):
        segment_trunk(np.full((4, 50, 50), -1000, np.int16), (3.0, 3.0, 3.0))


@needs_data
def test_a_patient_reaches_the_overlap_that_the_model_card_states(small):
    overlaps = _overlaps(segment_trunk(*small).labels, _references())

    assert overlaps[TrunkTissue.SAT] >= 0.935
    assert overlaps[TrunkTissue.VAT] >= 0.875
    assert overlaps[TrunkTissue.MUSCLE] >= 0.86


@needs_data
def test_vertebrae_of_an_old_patient_are_filled():
    hu, spacing_mm = _canonical(FULL / "dicom")
    reference, _ = _canonical(FULL / "example_seg_fast_force_split.nii.gz")
    above_the_implant = slice(77, None)
    vertebrae = np.isin(reference[above_the_implant], range(26, 51))

    labels = segment_trunk(hu[above_the_implant].astype(np.int16), spacing_mm).labels

    assert np.mean(labels[vertebrae] == TrunkTissue.BONE) > 0.8


@needs_data
def test_an_abdomen_without_pelvis_has_no_crest(small):
    assert segment_trunk(*small).iliac_crest_slice is None


@needs_data
def test_noise_does_not_break_a_patient(small):
    hu, spacing_mm = small
    noisy = (hu + np.random.default_rng(0).normal(0.0, 20.0, hu.shape)).astype(np.float32)

    overlaps = _overlaps(segment_trunk(noisy, spacing_mm).labels, _references())

    assert min(overlaps.values()) > 0.83


@needs_data
def test_ten_slices_of_a_patient_are_enough(small):
    hu, spacing_mm = small

    overlaps = _overlaps(segment_trunk(hu[10:20], spacing_mm).labels, _references(), slice(10, 20))

    assert min(overlaps.values()) > 0.83


@needs_data
def test_a_mirrored_patient_differs_by_less_than_two_permille(small):
    hu, spacing_mm = small
    labels = segment_trunk(hu, spacing_mm).labels

    mirrored = segment_trunk(hu[:, :, ::-1], spacing_mm).labels[:, :, ::-1]

    for tissue in TrunkTissue:
        assert dice(mirrored == tissue, labels == tissue) > 0.998, tissue


@needs_data
@pytest.mark.chain
@pytest.mark.parametrize("lowest", [0, 30, 48, 57, 64])
def test_crest_is_where_the_hips_of_the_reference_end(lowest):
    hu, spacing_mm = _canonical(FULL / "dicom")
    reference, _ = _canonical(FULL / "example_seg_fast_force_split.nii.gz")
    hips = np.flatnonzero(np.isin(reference[lowest:], (77, 78)).any(axis=(1, 2)))

    crest = segment_trunk(hu[lowest:].astype(np.int16), spacing_mm).iliac_crest_slice

    assert (crest is None) == (hips.size == 0)
    assert crest is None or abs(crest - int(hips[-1])) <= 2


@pytest.mark.chain
@pytest.mark.parametrize(("noise_hu", "tolerance"), [(0.0, 0.02), (15.0, 0.04), (20.0, 0.04)])
def test_volumes_of_the_phantom_are_met(noise_hu, tolerance):
    phantom_module = pytest.importorskip("mapnode.phantom.trunk")
    parameters = phantom_module.TrunkPhantomParameters(noise_hu=noise_hu)
    phantom = phantom_module.build_trunk_phantom(parameters)

    labels = segment_trunk(phantom.hu, parameters.spacing_mm).labels

    voxel_ml = float(np.prod(parameters.spacing_mm)) / 1000.0
    volumes_ml = {
        "body": np.count_nonzero(labels) * voxel_ml,
        "bone": np.count_nonzero(labels == TrunkTissue.BONE) * voxel_ml,
        "subcutaneous_fat": np.count_nonzero(labels == TrunkTissue.SAT) * voxel_ml,
        "visceral_fat": np.count_nonzero(labels == TrunkTissue.VAT) * voxel_ml,
        "skeletal_muscle": np.count_nonzero(labels == TrunkTissue.MUSCLE) * voxel_ml,
    }
    for name, volume_ml in volumes_ml.items():
        assert volume_ml == pytest.approx(phantom.truth_volume_ml[name], rel=tolerance), name
