"""WriteSecondaryCapture: the picture is a valid colour image of the same study, and shows what was drawn."""

import dataclasses
import shutil

import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from operators.core.object_checks import check_object
from operators.runtime.sdk import Application
from operators.write.write_key_image import WriteKeyImage
from operators.write.write_secondary_capture import WriteSecondaryCapture
from operators.write.write_segmentation import WriteParameters, build_segmentation
from operators.write.written import WrittenFile
from tests.builders import (
    AXIAL,
    CORONAL,
    OBLIQUE,
    SAGITTAL,
    make_affine,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_slice_areas,
    make_volume,
)
from tests.judges import dciodvfy_errors

PLANES = [AXIAL, CORONAL, SAGITTAL, OBLIQUE]


def inputs_of(volume):
    label_map = make_label_map(volume)
    identity = make_identity()
    return {
        "volume": volume,
        "label_map": label_map,
        "measurements": make_measurements(label_map),
        "slice_areas": make_slice_areas(volume, label_map),
        "quality": make_quality(),
        "seg": WrittenFile("seg.dcm", build_segmentation(volume, label_map, identity)),
        "identity": identity,
    }


def example(tmp_path):
    return WriteParameters(tmp_path), inputs_of(make_volume())


def write(folder, volume=None):
    """Path and data set as pydicom reads it."""
    folder.mkdir(exist_ok=True)
    inputs = inputs_of(volume or make_volume())
    path = WriteSecondaryCapture(Application(), WriteParameters(folder)).process(**inputs).path
    return path, dcmread(path), inputs


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(tmp_path_factory.mktemp("sc"))


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is missing: apt-get install dicom3tools")
@pytest.mark.parametrize("directions", PLANES, ids=["axial", "coronal", "sagittal", "oblique"])
def test_image_is_valid_for_dciodvfy(tmp_path, directions):
    path, dataset, _ = write(tmp_path, make_volume(affine_lps=make_affine(directions)))

    assert dciodvfy_errors(path) == []
    assert check_object(dataset) == []


def test_image_is_the_picture_of_write_key_image(tmp_path, written):
    path, dataset, inputs = written
    wanted = {name: inputs[name] for name in WriteKeyImage.inputs}
    with Image.open(WriteKeyImage(Application(), WriteParameters(tmp_path)).process(**wanted).path) as picture:
        expected = np.asarray(picture)

    assert np.array_equal(dataset.pixel_array, expected)
    assert np.array_equal(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0], expected)


def test_image_is_native_rgb_in_one_frame(written):
    _, dataset, _ = written

    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert (dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.BitsStored) == ("RGB", 3, 8)
    assert dataset.PlanarConfiguration == 0
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert "NumberOfFrames" not in dataset
    assert (dataset.Modality, dataset.ImageType[:2]) == ("OT", ["DERIVED", "SECONDARY"])


def test_image_lies_in_the_study_and_claims_no_place(written):
    _, dataset, inputs = written
    header = inputs["volume"].slices[0].header

    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber", "StudyDate"):
        assert dataset[keyword].value == header[keyword].value, keyword
    for keyword in ("FrameOfReferenceUID", "ImagePositionPatient", "PixelSpacing", "ImagerPixelSpacing"):
        assert keyword not in dataset


def test_image_says_what_is_in_it_and_where_from(written):
    _, dataset, inputs = written

    assert dataset.BurnedInAnnotation == "YES"
    assert dataset.DerivationDescription.startswith("Slice 7 of 12")
    assert "Not for diagnosis" in dataset.DerivationDescription
    assert "research use" in dataset.SeriesDescription
    shown, seg = dataset.SourceImageSequence
    assert shown.ReferencedSOPInstanceUID == inputs["volume"].slices[6].header.SOPInstanceUID
    assert seg.ReferencedSOPInstanceUID == inputs["seg"].dataset.SOPInstanceUID
    assert len(dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 12
    (equipment,) = [item for item in dataset.ContributingEquipmentSequence if item.Manufacturer == "mapnode"]
    assert equipment.DeviceUID


@pytest.mark.parametrize(
    ("directions", "orientation"),
    [(AXIAL, ["L", "P"]), (CORONAL, ["L", "F"]), (SAGITTAL, ["P", "F"]), (OBLIQUE, ["L", "PH"])],
    ids=["axial", "coronal", "sagittal", "oblique"],
)
def test_patient_orientation_is_that_of_the_picture(tmp_path, directions, orientation):
    _, dataset, _ = write(tmp_path, make_volume(affine_lps=make_affine(directions)))

    assert list(dataset.PatientOrientation) == orientation


def test_lossy_source_stays_lossy(tmp_path):
    def lossy(header, _):
        header.LossyImageCompression, header.LossyImageCompressionMethod = "01", "ISO_10918_1"
        header.LossyImageCompressionRatio = "8"

    _, dataset, _ = write(tmp_path, make_volume(edit=lossy))

    assert (dataset.LossyImageCompression, dataset.LossyImageCompressionRatio) == ("01", 8)


@pytest.mark.parametrize("ratio", [b"1:10", b"N/A ", b"8\\x "])
def test_a_ratio_that_is_no_number_goes_into_no_result(tmp_path, ratio):
    def lossy(header, _):
        header.LossyImageCompression, header.LossyImageCompressionMethod = "01", "ISO_10918_1"
        tag = Tag("LossyImageCompressionRatio")
        header._dict[tag] = RawDataElement(tag, "DS", len(ratio), ratio, 0, False, True)

    path, dataset, inputs = write(tmp_path, make_volume(edit=lossy))

    for result in (dataset, inputs["seg"].dataset):
        assert result.LossyImageCompression == "01"
        assert "LossyImageCompressionRatio" not in result
    assert dciodvfy_errors(path) == []


def test_same_in_same_out(tmp_path):
    first, second = (write(tmp_path / name)[0] for name in ("a", "b"))

    assert first.read_bytes() == second.read_bytes()


def test_another_identity_is_another_image_in_another_series(tmp_path, written):
    _, dataset, inputs = written
    other = inputs | {"identity": dataclasses.replace(make_identity(), sha256="cd" * 32)}

    changed = WriteSecondaryCapture(Application(), WriteParameters(tmp_path)).process(**other).dataset

    assert changed.SOPInstanceUID != dataset.SOPInstanceUID
    assert changed.SeriesInstanceUID != dataset.SeriesInstanceUID
    assert changed.StudyInstanceUID == dataset.StudyInstanceUID


@pytest.mark.parametrize("name", ["", "Phantom"], ids=["none", "one component"])
def test_name_that_highdicom_dislikes_is_kept(tmp_path, name):
    def named(header, _):
        header.PatientName = name

    _, dataset, _ = write(tmp_path, make_volume(edit=named))

    assert str(dataset.PatientName) == name
