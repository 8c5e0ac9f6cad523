"""Source references: every image, frame and series that a picture was made from, once."""

import dataclasses

from pydicom.uid import EnhancedCTImageStorage

from operators.write.source_references import referenced_series_items, source_image_items, source_instance_items
from operators.write.write_segmentation import build_segmentation
from tests.builders import make_identity, make_label_map, make_volume


def single_frames():
    volume = make_volume()
    return volume, build_segmentation(volume, make_label_map(volume), make_identity())


def enhanced():
    """Twelve frames of one instance."""
    volume, seg = single_frames()
    first = volume.slices[0].header.SOPInstanceUID

    def frame(index, source):
        header = source.header
        header.SOPClassUID, header.SOPInstanceUID = EnhancedCTImageStorage, first
        return dataclasses.replace(source, frame_number=index + 1)

    slices = tuple(frame(index, source) for index, source in enumerate(volume.slices))
    return dataclasses.replace(volume, slices=slices), seg


def test_source_images_are_the_slices_shown_and_the_seg():
    volume, seg = single_frames()

    items = source_image_items(volume, [4, 7], seg)

    uids = [item.ReferencedSOPInstanceUID for item in items]
    assert uids == [volume.slices[4].header.SOPInstanceUID, volume.slices[7].header.SOPInstanceUID, seg.SOPInstanceUID]
    assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in items} == {"121322"}
    assert not any("ReferencedFrameNumber" in item for item in items)


def test_a_frame_of_an_enhanced_image_is_named_by_its_number():
    volume, seg = enhanced()

    items = source_image_items(volume, [4, 7], seg)

    assert [item.get("ReferencedFrameNumber") for item in items] == [5, 8, None]


def test_series_are_complete_and_name_each_instance_once():
    volume, seg = single_frames()

    source, segmentation = referenced_series_items(volume, seg)

    assert source.SeriesInstanceUID == volume.slices[0].header.SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in source.ReferencedInstanceSequence] == [
        source.header.SOPInstanceUID for source in volume.slices
    ]
    assert segmentation.SeriesInstanceUID == seg.SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in segmentation.ReferencedInstanceSequence] == [seg.SOPInstanceUID]


def test_an_enhanced_image_is_one_instance():
    volume, seg = enhanced()

    source, _ = referenced_series_items(volume, seg)

    assert len(source.ReferencedInstanceSequence) == 1
    assert len(source_instance_items(volume, seg)) == 2
