"""LoadVolume: the voxels of the chosen series, equal to what other readers read."""

import hashlib
import json

import numpy as np
import pytest
import SimpleITK

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.reading import read_folder
from operators.load.load_series import load_series
from operators.load.load_volume import LoadVolume
from operators.runtime.sdk import Application
from operators.select.select_series import Selection
from tests.builders import AXIAL_TURNED, OBLIQUE, make_affine, make_ct_series, make_hu

PLAIN_CT = (
    "ct_totalseg_nifti_sm",
    "ct_totalseg_nifti_full",
    "ct_totalseg_repaired",
    "derived_shuffled_names",
    "derived_mixed_rescale",
)


def select_only(folder) -> Selection:
    (series,) = read_folder(folder).series
    return Selection(examine(series), ())


def load(folder):
    return LoadVolume(Application()).process(select_only(folder))


def example(tmp_path):
    make_ct_series(tmp_path / "in", slices=4)
    return None, {"selection": select_only(tmp_path / "in")}


@pytest.mark.parametrize("directions", [None, AXIAL_TURNED, OBLIQUE])
def test_volume_is_what_was_written(tmp_path, directions):
    written = {"directions": directions} if directions else {}
    make_ct_series(tmp_path, **written)

    volume = load(tmp_path)

    assert np.array_equal(volume.array, make_hu())
    assert np.allclose(volume.affine_lps, make_affine(**written), atol=1e-9)
    assert volume.frame_of_reference_uid == volume.slices[0].header.FrameOfReferenceUID


def test_slices_name_their_files_in_the_order_of_the_array(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)

    volume = load(tmp_path)

    assert [source.path for source in volume.slices] == paths


def test_truncated_slice_is_refused(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)
    paths[2].write_bytes(paths[2].read_bytes()[:-10])

    with pytest.raises(InputRefused) as refused:
        load(tmp_path)

    assert [(f.code, f.files) for f in refused.value.findings] == [
        (FindingCode.UNDECODABLE_PIXELS, (paths[2].name,)),
    ]


@pytest.mark.parametrize("folder", PLAIN_CT)
def test_real_volume_equals_that_of_simpleitk(shared_data, folder):
    expected = json.loads((shared_data / folder / "expected.json").read_text())["series"][0]
    image = expected["sitk_series"]

    volume = load(shared_data / folder / expected["dir"])

    assert volume.array.shape == tuple(reversed(image["size_xyz"]))
    assert tuple(reversed(volume.spacing_mm)) == pytest.approx(image["spacing_xyz"], abs=1e-4)
    directions = volume.affine_lps[:3, :3] / volume.spacing_mm
    assert directions[:, ::-1].ravel() == pytest.approx(image["direction"], abs=1e-5)
    assert volume.affine_lps[:3, 3] == pytest.approx(image["origin_xyz"], abs=1e-4)
    assert volume.array.sum(dtype=np.float64) == image["sum"]
    digest = hashlib.sha256(volume.array.astype("<i4").tobytes()).hexdigest()
    assert digest == image["sha256_int32_zyx"]


@pytest.mark.parametrize("folder", ["ct_totalseg_repaired", "ct_totalseg_nifti_sm", "ct_study_philips_phantom"])
def test_real_voxel_lies_where_simpleitk_puts_it(shared_data, folder):
    geometry = max(load_series(shared_data / folder).series, key=lambda g: len(g.instances) if g.usable else 0)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(instance.path) for instance in geometry.instances])
    image = reader.Execute()

    for index in ((0, 0, 0), (7, 30, 90), (17, 91, 5)):
        position = geometry.affine_lps @ (*index, 1)

        assert position[:3] == pytest.approx(image.TransformIndexToPhysicalPoint(index[::-1]), abs=0.05)


LOSSLESS = (
    "deflated",
    "j2k_lossless",
    "jpegls_lossless",
    "native_explicit_be",
    "native_explicit_le",
    "native_implicit_le",
    "rle",
)
WITHOUT_DECODER = ("jpeg_lossless_p14", "jpeg_lossless_sv1")


@pytest.mark.parametrize("folder", LOSSLESS)
def test_transfer_syntax_does_not_change_a_voxel(shared_data, folder):
    expected = expected_of_syntax(shared_data, folder)

    volume = load(shared_data / "transfer_syntaxes_ct" / folder)

    assert hashlib.sha256(volume.array.astype("<i4").tobytes()).hexdigest() == expected["sha256_int32_zyx"]


@pytest.mark.parametrize("folder", WITHOUT_DECODER)
def test_syntax_without_a_decoder_is_refused_or_read_right(shared_data, folder):
    expected = expected_of_syntax(shared_data, folder)

    try:
        volume = load(shared_data / "transfer_syntaxes_ct" / folder)
        outcome = hashlib.sha256(volume.array.astype("<i4").tobytes()).hexdigest()
    except InputRefused as refused:
        outcome = refused.findings[0].code

    assert outcome in {expected["sha256_int32_zyx"], FindingCode.UNDECODABLE_PIXELS}


def expected_of_syntax(shared_data, folder):
    series = json.loads((shared_data / "transfer_syntaxes_ct" / "expected.json").read_text())["series"]
    return next(entry["sitk_series"] for entry in series if entry["dir"] == folder)
