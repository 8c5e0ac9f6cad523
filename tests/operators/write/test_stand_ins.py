"""Stand-ins: references name the true instances and frames (PS3.3 10.3), whatever highdicom was given."""

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    SegmentationStorage,
)

from operators.write.marking import save
from operators.write.stand_ins import (
    first_stand_in,
    image_references,
    put_references,
    put_references_to,
    stand_ins,
)
from tests.builders import make_volume
from tests.enhanced import frame_of, make_enhanced_volume


def listed(headers) -> Dataset:
    """An object that refers to images in a list of instances, and to the second one alone with its purpose."""
    items = [reference_to(header) for header in headers]
    alone = reference_to(headers[1])
    alone.SpatialLocationsPreserved = "YES"
    dataset, series, deeper = Dataset(), Dataset(), Dataset()
    series.ReferencedInstanceSequence = items
    deeper.SourceImageSequence = [alone]
    dataset.ReferencedSeriesSequence = [series]
    dataset.DerivationImageSequence = [deeper]
    return dataset


def reference_to(header) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    return item


def test_single_frame_images_stand_for_themselves():
    volume = make_volume()

    headers = stand_ins(volume)

    assert [h.SOPInstanceUID for h in headers] == [s.header.SOPInstanceUID for s in volume.slices]
    assert {h.SOPClassUID for h in headers} == {CTImageStorage}


@pytest.mark.parametrize(
    "sop_class", [EnhancedCTImageStorage, EnhancedMRImageStorage, LegacyConvertedEnhancedCTImageStorage]
)
def test_frames_become_images_of_their_own(tmp_path, sop_class):
    volume = make_enhanced_volume(tmp_path, sop_class=sop_class)

    headers = stand_ins(volume)

    assert len({h.SOPInstanceUID for h in headers}) == len(volume.slices)
    assert {h.SOPClassUID for h in headers} == {CTImageStorage}
    assert {s.header.SOPClassUID for s in volume.slices} == {sop_class}


@pytest.mark.parametrize("make", [lambda _: make_volume(), make_enhanced_volume], ids=["single-frame", "enhanced"])
def test_first_stand_in_is_the_first_of_all(tmp_path, make):
    volume = make(tmp_path)

    assert first_stand_in(volume) == stand_ins(volume)[0]


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("make", [lambda _: make_volume(), make_enhanced_volume], ids=["single-frame", "enhanced"])
def test_encoded_references_are_written_and_read_as_those_made_of_objects(tmp_path, make, frames):
    volume = make(tmp_path)
    expected, encoded = result(), result()
    expected.SourceImageSequence = image_references(volume.slices, frames=frames)
    expected.ReferencedSeriesSequence[0].ReferencedInstanceSequence = image_references(volume.slices, frames=False)

    put_references_to(encoded, "SourceImageSequence", volume.slices, frames=frames)
    put_references_to(encoded.ReferencedSeriesSequence[0], "ReferencedInstanceSequence", volume.slices, frames=False)

    save(expected, tmp_path / "expected.dcm")
    save(encoded, tmp_path / "encoded.dcm")
    assert (tmp_path / "encoded.dcm").read_bytes() == (tmp_path / "expected.dcm").read_bytes()
    assert encoded == expected


def result() -> Dataset:
    """A result as highdicom makes one, with an attribute whose VR depends on another (PS3.5 A.1)."""
    dataset, series = Dataset(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, "2.25.1"
    dataset.PatientName = "Григорьев^Иван"
    dataset.PixelRepresentation, dataset.PixelPaddingValue = 0, 0
    dataset.ReferencedSeriesSequence = [series]
    return dataset


def test_list_of_instances_has_each_once_and_no_frames(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    dataset = listed(stand_ins(volume))

    put_references(dataset, volume)

    (item,) = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert item.ReferencedSOPInstanceUID == volume.slices[0].header.SOPInstanceUID
    assert item.ReferencedSOPClassUID == EnhancedCTImageStorage
    assert "ReferencedFrameNumber" not in item


def test_reference_to_a_frame_names_it_and_keeps_what_else_it_says(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    dataset = listed(stand_ins(volume))

    put_references(dataset, volume)

    (item,) = dataset.DerivationImageSequence[0].SourceImageSequence
    assert item.ReferencedSOPInstanceUID == volume.slices[1].header.SOPInstanceUID
    assert item.ReferencedFrameNumber == frame_of(1)
    assert item.SpatialLocationsPreserved == "YES"


def test_references_to_single_frame_images_stay():
    volume = make_volume()
    dataset = listed(stand_ins(volume))
    before = dataset.to_json()

    put_references(dataset, volume)

    assert dataset.to_json() == before


def test_foreign_references_stay(tmp_path):
    volume = make_enhanced_volume(tmp_path)
    dataset = listed([source.header for source in make_volume().slices])
    before = dataset.to_json()

    put_references(dataset, volume)

    assert dataset.to_json() == before


def test_reference_to_several_frames_is_one_item(tmp_path):
    volume = make_enhanced_volume(tmp_path)

    (item,) = image_references(volume.slices[2:4])

    assert item.ReferencedFrameNumber == [frame_of(2), frame_of(3)]


def test_references_to_single_frame_images_name_no_frame():
    items = image_references(make_volume().slices[:2])

    assert [("ReferencedFrameNumber" in item) for item in items] == [False, False]
