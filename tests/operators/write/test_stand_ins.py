"""Stand-ins: references name the true instances and frames (PS3.3 10.3), whatever highdicom was given."""

import pytest
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from operators.write.stand_ins import image_references, put_references, stand_ins
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
