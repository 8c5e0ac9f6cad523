"""Kinds: what each SOP Class is to a loader."""

import pytest
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from operators.core.kinds import Kind, is_ct, kind_of, sop_class_of
from tests.builders import make_header


def header_of(sop_class, modality="CT"):
    header = make_header(0)
    header.SOPClassUID, header.Modality = sop_class, modality
    return header


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        (uid.CTImageStorage, Kind.SLICE),
        (uid.MRImageStorage, Kind.SLICE),
        (uid.PositronEmissionTomographyImageStorage, Kind.SLICE),
        (uid.EnhancedCTImageStorage, Kind.FRAMES),
        (uid.EnhancedMRImageStorage, Kind.FRAMES),
        (uid.EnhancedPETImageStorage, Kind.FRAMES),
        (uid.LegacyConvertedEnhancedCTImageStorage, Kind.FRAMES),
        (uid.ComputedRadiographyImageStorage, Kind.IMAGE),
        (uid.DigitalXRayImageStorageForPresentation, Kind.IMAGE),
        (uid.DigitalMammographyXRayImageStorageForPresentation, Kind.IMAGE),
        (uid.UltrasoundImageStorage, Kind.IMAGE),
        (uid.UltrasoundMultiFrameImageStorage, Kind.IMAGE),
        (uid.SecondaryCaptureImageStorage, Kind.IMAGE),
        (uid.SegmentationStorage, Kind.OTHER),
        (uid.RTDoseStorage, Kind.OTHER),
        (uid.ParametricMapStorage, Kind.OTHER),
    ],
)
def test_kind_follows_from_the_sop_class(sop_class, kind):
    assert kind_of(header_of(sop_class)) is kind


@pytest.mark.parametrize("sop_class", [uid.ComprehensiveSRStorage, uid.RTStructureSetStorage, uid.RTPlanStorage])
def test_object_without_rows_is_no_image(sop_class):
    header = header_of(sop_class)
    del header.Rows

    assert kind_of(header) is Kind.OTHER


def test_unknown_sop_class_with_rows_is_a_two_dimensional_image():
    assert kind_of(header_of("1.2.3.4")) is Kind.IMAGE


@pytest.mark.parametrize(
    ("modality", "expected"),
    [
        ("CT", uid.CTImageStorage),
        ("MR", uid.MRImageStorage),
        ("PT", uid.PositronEmissionTomographyImageStorage),
        ("OT", ""),
    ],
)
@pytest.mark.parametrize("empty", [True, False])
def test_modality_stands_in_for_an_empty_sop_class(modality, expected, empty):
    header = header_of("", modality)
    if not empty:
        del header.SOPClassUID

    assert sop_class_of(header) == expected


def test_file_meta_information_stands_in_for_an_empty_sop_class_before_modality():
    header = header_of("", "CT")
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = uid.MRImageStorage

    assert sop_class_of(header) == uid.MRImageStorage


def test_empty_header_is_no_image():
    assert kind_of(Dataset()) is Kind.OTHER


@pytest.mark.parametrize(
    ("sop_class", "expected"),
    [
        (uid.CTImageStorage, True),
        (uid.EnhancedCTImageStorage, True),
        (uid.LegacyConvertedEnhancedCTImageStorage, True),
        (uid.MRImageStorage, False),
        (uid.PositronEmissionTomographyImageStorage, False),
        (uid.SecondaryCaptureImageStorage, False),
    ],
)
def test_ct_is_told_by_its_sop_class(sop_class, expected):
    assert is_ct(header_of(sop_class)) is expected
