"""CT series: what is written is what others read."""

import shutil
import subprocess

import numpy as np
import pydicom
import pytest
import SimpleITK

from mapnode.phantom.series import write_ct_series
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom

AXIAL = ((0, 0, 1), (0, 1, 0), (1, 0, 0))
CORONAL = ((0, 1, 0), (0, 0, -1), (1, 0, 0))
SAGITTAL = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
OBLIQUE = ((0, -0.6, 0.8), (0, 0.8, 0.6), (1, 0, 0))
FEET_FIRST_ORDER = ((0, 0, -1), (0, 1, 0), (1, 0, 0))


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return build_trunk_phantom(TrunkPhantomParameters(slices=4, spacing_mm=(2.5, 3.0, 4.0), centre_z_mm=12.3))


def make_affine(directions=AXIAL, spacing_mm=(2.5, 3.0, 4.0), origin_mm=(-10.25, 20.5, 1 / 3)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = np.array(directions, dtype=float).T * spacing_mm
    affine[:3, 3] = origin_mm
    return affine


def make_hu() -> np.ndarray:
    return np.arange(3 * 4 * 5, dtype=np.int16).reshape(3, 4, 5) * 40 - 1000


def test_simpleitk_reads_the_same_volume(phantom, tmp_path):
    paths = write_ct_series(phantom.hu, phantom.affine_lps, tmp_path, uid_seed="t")

    image = SimpleITK.ReadImage([str(path) for path in paths])

    assert np.array_equal(SimpleITK.GetArrayFromImage(image), phantom.hu)
    assert image.GetSpacing() == pytest.approx((4.0, 3.0, 2.5))
    assert image.GetOrigin() == pytest.approx(phantom.affine_lps[:3, 3])
    assert image.GetDirection() == pytest.approx(np.eye(3).ravel())


def test_gdcm_sorts_the_series_from_feet_to_head(phantom, tmp_path):
    paths = write_ct_series(phantom.hu, phantom.affine_lps, tmp_path, uid_seed="t")

    found = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))

    assert list(found) == [str(path) for path in paths]


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL, OBLIQUE, FEET_FIRST_ORDER])
def test_every_voxel_keeps_its_position_in_any_orientation(directions, tmp_path):
    affine_lps = make_affine(directions)
    hu = make_hu()

    paths = write_ct_series(hu, affine_lps, tmp_path, uid_seed="t")

    for index, path in enumerate(paths):
        image = SimpleITK.ReadImage(str(path))
        corner = image.TransformIndexToPhysicalPoint((4, 3, 0))
        assert corner == pytest.approx((affine_lps @ [index, 3, 4, 1])[:3], abs=1e-6)
        assert np.array_equal(SimpleITK.GetArrayFromImage(image)[0], hu[index])


def test_pixel_spacing_names_the_rows_first(tmp_path):
    path = write_ct_series(make_hu(), make_affine(), tmp_path, uid_seed="t")[0]

    dataset = pydicom.dcmread(path)

    assert dataset.PixelSpacing == [3.0, 4.0]
    assert dataset.SliceThickness == 2.5


def test_equal_arguments_give_equal_bytes(tmp_path):
    first = write_ct_series(make_hu(), make_affine(), tmp_path / "a", uid_seed="t")
    second = write_ct_series(make_hu(), make_affine(), tmp_path / "b", uid_seed="t")

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_another_seed_changes_every_uid(tmp_path):
    first, second = (
        pydicom.dcmread(write_ct_series(make_hu(), make_affine(), tmp_path / seed, uid_seed=seed)[0])
        for seed in ("a", "b")
    )

    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"):
        assert first[keyword].value != second[keyword].value
        assert first[keyword].value.is_valid


def test_slices_share_a_series_and_are_numbered_from_the_start(tmp_path):
    paths = write_ct_series(make_hu(), make_affine(), tmp_path, uid_seed="t", start_instance_number=7)

    datasets = [pydicom.dcmread(path) for path in paths]

    assert [dataset.InstanceNumber for dataset in datasets] == [7, 8, 9]
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 3
    assert all(dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID for dataset in datasets)


def test_names_and_description_are_written(tmp_path):
    path = write_ct_series(
        make_hu(), make_affine(), tmp_path, uid_seed="t", patient_name="A^B", patient_id="7", description="Thin"
    )[0]

    dataset = pydicom.dcmread(path)

    assert (dataset.PatientName, dataset.PatientID, dataset.SeriesDescription) == ("A^B", "7", "Thin")


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("directions", [AXIAL, OBLIQUE])
def test_dciodvfy_finds_nothing_wrong(directions, tmp_path):
    path = write_ct_series(make_hu(), make_affine(directions), tmp_path, uid_seed="t")[0]

    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False)

    findings = [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    assert (judged.returncode, findings) == (0, [])


def test_rows_askew_to_columns_are_refused(tmp_path):
    skewed = make_affine()
    skewed[1, 2] = 0.5

    with pytest.raises(ValueError, match="square to each other"):
        write_ct_series(make_hu(), skewed, tmp_path, uid_seed="t")


def test_stack_of_a_tilted_gantry_says_its_tilt_and_its_true_thickness(tmp_path):
    tilted = make_affine()
    tilted[1, 0] = 2.5 * np.tan(np.radians(15))

    paths = write_ct_series(make_hu(), tilted, tmp_path, uid_seed="t")

    datasets = [pydicom.dcmread(path) for path in paths]
    assert datasets[0].GantryDetectorTilt == pytest.approx(15)
    assert datasets[0].SliceThickness == pytest.approx(2.5)
    assert [float(x) for x in datasets[2].ImagePositionPatient] == pytest.approx((tilted @ [2, 0, 0, 1])[:3])


def test_attributes_replace_the_writers_own_and_none_leaves_one_out(tmp_path):
    path = write_ct_series(
        make_hu(), make_affine(), tmp_path, uid_seed="t", attributes={"PatientSize": None, "BodyPartExamined": "LEG"}
    )[0]

    dataset = pydicom.dcmread(path)

    assert "PatientSize" not in dataset
    assert dataset.BodyPartExamined == "LEG"


@pytest.mark.parametrize("hu", [np.zeros((4, 5)), np.zeros((0, 4, 5)), np.full((1, 4, 5), 40000)])
def test_arrays_that_are_no_ct_volume_are_refused(hu, tmp_path):
    with pytest.raises(ValueError, match=r"expected an array|do not fit 16 bits"):
        write_ct_series(hu, make_affine(), tmp_path, uid_seed="t")
