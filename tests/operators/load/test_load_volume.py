"""LoadVolume: the voxels of the chosen volume, equal to what other readers read."""

import hashlib
import json

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.geometry import VolumeGeometry
from operators.core.header import transfer_syntax
from operators.core.selection import Candidate, Selection
from operators.load.load_series import load_series
from operators.load.load_volume import LoadVolume
from operators.runtime.monitor import Monitor
from operators.runtime.sdk import Application
from tests.builders import (
    AXIAL,
    AXIAL_FEET,
    AXIAL_TURNED,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    make_affine,
    make_ct_series,
    make_hu,
)


def only_volume(folder) -> VolumeGeometry:
    (series,) = load_series(folder).series
    (volume,) = series.volumes
    return volume


def select(volume: VolumeGeometry) -> Selection:
    chosen = Candidate(volume.series.uid, "", "", (), 0.0)
    return Selection(volume, chosen, (chosen,))


def load(folder):
    return LoadVolume(Application()).process(select(only_volume(folder)))


def example(tmp_path):
    make_ct_series(tmp_path / "in", slices=4)
    return None, {"selection": select(only_volume(tmp_path / "in"))}


def digest_of(array) -> str:
    return hashlib.sha256(array.astype("<i4").tobytes()).hexdigest()


@pytest.mark.parametrize(
    "directions",
    [
        pytest.param(directions, id=name)
        for name, directions in {
            "axial": AXIAL,
            "turned": AXIAL_TURNED,
            "feet": AXIAL_FEET,
            "coronal": CORONAL,
            "sagittal": SAGITTAL,
            "oblique": OBLIQUE,
        }.items()
    ],
)
def test_volume_is_what_was_written(tmp_path, directions):
    affine = make_affine(directions)
    make_ct_series(tmp_path, directions=directions)
    # Slices are ordered along row direction x column direction, whichever way they were written.
    along = np.cross(affine[:3, 2], affine[:3, 1]) @ affine[:3, 0] > 0
    hu = make_hu() if along else make_hu()[::-1]
    if not along:
        affine[:3, 3] += (len(hu) - 1) * affine[:3, 0]
        affine[:3, 0] *= -1

    volume = load(tmp_path)

    assert np.array_equal(volume.array, hu)
    assert np.allclose(volume.affine_lps, affine, atol=1e-9)
    assert volume.frame_of_reference_uid == volume.slices[0].header.FrameOfReferenceUID


def test_slices_name_their_files_in_the_order_of_the_array(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)

    volume = load(tmp_path)

    assert [source.path for source in volume.slices] == paths


def test_slices_carry_the_digest_of_their_stored_pixels(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)

    volume = load(tmp_path)

    assert [source.pixel_sha256 for source in volume.slices] == [
        hashlib.sha256(dcmread(path).PixelData).hexdigest() for path in paths
    ]


def test_array_cannot_be_changed(tmp_path):
    make_ct_series(tmp_path, slices=5)

    volume = load(tmp_path)

    with pytest.raises(ValueError, match="read-only"):
        volume.array[0, 0, 0] = 1


def test_progress_reaches_the_end(tmp_path):
    make_ct_series(tmp_path, slices=5)
    application, heard = Application(), []
    application.monitor = Monitor(heard.append)
    step = LoadVolume(application)

    step.process(select(only_volume(tmp_path)))

    # One report a slice, from several threads, never going back.
    assert [progress.fraction for progress in heard] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_truncated_slice_is_refused(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)
    paths[2].write_bytes(paths[2].read_bytes()[:-10])

    with pytest.raises(InputRefused) as refused:
        load(tmp_path)

    uid = str(dcmread(paths[2], stop_before_pixels=True).SOPInstanceUID)
    assert [(f.code, f.instances, f.files) for f in refused.value.findings] == [
        (FindingCode.UNDECODABLE_PIXELS, (uid,), (paths[2].name,)),
    ]


def test_slice_that_changed_after_its_header_was_read_is_refused(tmp_path):
    paths = make_ct_series(tmp_path, slices=5)
    volume = only_volume(tmp_path)
    paths[2].write_bytes(paths[3].read_bytes())

    with pytest.raises(InputRefused) as refused:
        LoadVolume(Application()).process(select(volume))

    assert [f.code for f in refused.value.findings] == [FindingCode.UNDECODABLE_PIXELS]
    assert "changed" in refused.value.findings[0].message


def test_volume_without_a_grid_is_refused_with_its_findings(tmp_path):
    make_ct_series(tmp_path, slices=6)[3].unlink()
    volume = only_volume(tmp_path)

    with pytest.raises(InputRefused) as refused:
        LoadVolume(Application()).process(select(volume))

    assert [f.code for f in refused.value.findings] == [FindingCode.MISSING_SLICES]


@pytest.mark.parametrize("folder", ["ct_totalseg_repaired", "ct_totalseg_nifti_sm", "ct_study_philips_phantom"])
def test_real_voxel_lies_where_simpleitk_puts_it(shared_data, folder):
    (volume,) = [one.volumes[0] for one in load_series(shared_data / folder).series if one.usable]
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(frame.instance.path) for frame in volume.frames])
    image = reader.Execute()

    for index in ((0, 0, 0), (7, 30, 90), (17, 91, 5)):
        position = volume.affine_lps @ (*index, 1)

        assert position[:3] == pytest.approx(image.TransformIndexToPhysicalPoint(index[::-1]), abs=0.05)


SYNTAXES = {
    "deflated": "1.2.840.10008.1.2.1.99",
    "j2k_lossless": "1.2.840.10008.1.2.4.90",
    "jpeg_lossless_p14": "1.2.840.10008.1.2.4.57",
    "jpeg_lossless_sv1": "1.2.840.10008.1.2.4.70",
    "jpegls_lossless": "1.2.840.10008.1.2.4.80",
    "jpegls_near": "1.2.840.10008.1.2.4.81",
    "native_explicit_be": "1.2.840.10008.1.2.2",
    "native_explicit_le": "1.2.840.10008.1.2.1",
    "native_implicit_le": "1.2.840.10008.1.2",
    "rle": "1.2.840.10008.1.2.5",
}


@pytest.mark.parametrize(("folder", "syntax"), SYNTAXES.items())
def test_every_transfer_syntax_decodes_to_the_voxels_of_simpleitk(shared_data, folder, syntax):
    document = json.loads((shared_data / "transfer_syntaxes_ct" / "expected.json").read_text(encoding="utf-8"))
    (expected,) = [one for one in document["series"] if one["dir"] == folder]

    volume = load(shared_data / "transfer_syntaxes_ct" / folder)

    assert {transfer_syntax(source.header) for source in volume.slices} == {syntax}
    assert digest_of(volume.array) == expected["sitk_series"]["sha256_int32_zyx"]


@pytest.mark.parametrize("folder", sorted(set(SYNTAXES) - {"jpegls_near"}))
def test_lossless_transfer_syntax_does_not_change_a_voxel(shared_data, folder):
    original = load(shared_data / "ct_totalseg_repaired")
    heights = [original.position_lps(index)[2] for index in range(len(original.slices))]

    volume = load(shared_data / "transfer_syntaxes_ct" / folder)

    first = heights.index(volume.position_lps(0)[2])
    assert np.array_equal(volume.array, original.array[first : first + len(volume.array)])
    assert np.allclose(volume.affine_lps[:3, :3], original.affine_lps[:3, :3], atol=1e-6)


def test_near_lossless_voxels_differ_by_few_hu(shared_data):
    exact = load(shared_data / "transfer_syntaxes_ct" / "native_explicit_le").array.astype(np.int32)

    near = load(shared_data / "transfer_syntaxes_ct" / "jpegls_near").array

    # NEAR in the scan header of the codestreams (ISO/IEC 14495-1) allows 2 stored values; a stored value is 1 HU.
    assert 0 < np.abs(near - exact).max() <= 2


VOXELS_OF_DCM2NIIX = {
    "odd_mosaic_siemens": "4f685f19a5c6ab3f56888dafc15a3d9648666bdbe1b0e62eaa8fb78b1010d43d",
    "odd_4d/ge_fmri": "477b40f9eb1026f2518a62281dbee4d9b978c5f91a84d0eb2f31ffca48dca2fa",
    "odd_4d/philips_fmri": "88cb1d4849ccc3662e8a4627936d296c77749660eb8e1362b2d6d3831eedaf0a",
    "odd_4d/siemens_dti": "34380b3b429ce0c80f2a9195f96b974782a5528b0b615b6ceae561e6e791c6d5",
}
"""SHA-256 of what dcm2niix v1.0.20260724 writes, as int32, little endian, `(times, slices, rows, columns)`."""


@pytest.mark.parametrize(("folder", "sha256"), VOXELS_OF_DCM2NIIX.items())
def test_volumes_in_time_are_in_order_and_voxel_for_voxel_those_of_dcm2niix(shared_data, folder, sha256):
    (series,) = load_series(shared_data / folder).series

    arrays = [LoadVolume(Application()).process(select(volume)).array for volume in series.volumes]

    assert digest_of(np.stack(arrays)) == sha256
