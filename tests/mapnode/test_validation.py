"""Verdicts on files, ours and dciodvfy's."""

import shutil

import pytest
from pydicom import dcmread

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.validation import validate_file


@pytest.fixture
def image(tmp_path):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=10, spacing_mm=(5.0, 6.0, 6.0)))
    return write_ct_series(phantom.hu, phantom.affine_lps, tmp_path, description="t", uid_seed="validation")[0]


def test_a_valid_image_is_valid_to_everybody_asked(image):
    verdict = validate_file(image)
    assert verdict.valid, verdict.problems
    assert ("dciodvfy" in verdict.checked_by) == (shutil.which("dciodvfy") is not None)


def test_an_image_without_its_study_is_invalid(image):
    dataset = dcmread(image)
    del dataset.StudyInstanceUID
    dataset.save_as(image)
    assert "mapnode: StudyInstanceUID is absent or empty" in validate_file(image).problems


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
def test_errors_of_dciodvfy_make_a_file_invalid(image):
    dataset = dcmread(image)
    del dataset.ImageType
    dataset.save_as(image)
    assert any(problem.startswith("dciodvfy: Error") for problem in validate_file(image).problems)


def test_a_text_file_is_no_dicom(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no DICOM")
    assert validate_file(path).problems == ("mapnode: no DICOM file: the prefix DICM is missing",)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_truncated_file_is_invalid_and_does_not_crash(image):
    image.write_bytes(image.read_bytes()[:400])
    assert not validate_file(image).valid
