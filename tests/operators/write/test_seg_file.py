"""Frames behind a data set: what pydicom reads back, and what does not fit into an element."""

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SegmentationStorage

from operators.core.errors import SegmentationError
from operators.write.marking import save
from operators.write.seg_file import append_encapsulated, append_native, native_length

EMPTY_ITEM = b"\xfe\xff\x00\xe0\0\0\0\0"


def head(tmp_path, transfer_syntax):
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, "2.25.1"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    path = tmp_path / "seg.dcm"
    save(dataset, path)
    return path


@pytest.mark.parametrize("pixels", [b"\x01\x02", b"\x01\x02\x03"])
def test_native_pixel_data_is_read_back_with_even_length(tmp_path, pixels):
    path = head(tmp_path, ExplicitVRLittleEndian)

    append_native(path, [EMPTY_ITEM] * 3, [pixels[:1], pixels[1:]], len(pixels))

    dataset = dcmread(path)
    assert len(dataset.PerFrameFunctionalGroupsSequence) == 3
    assert dataset["PixelData"].VR == "OB"
    assert dataset.PixelData[: len(pixels)] == pixels
    assert len(dataset.PixelData) % 2 == 0


def test_encapsulated_frames_are_found_through_their_offsets(tmp_path):
    path = head(tmp_path, RLELossless)
    frames = [b"abcd", b"", b"efgh12"]

    append_encapsulated(path, [EMPTY_ITEM] * 3, frames)

    dataset = dcmread(path)
    assert len(dataset.PerFrameFunctionalGroupsSequence) == 3
    assert list(generate_frames(dataset.PixelData, number_of_frames=3)) == frames
    assert dataset.PixelData[8:20] == bytes([0, 0, 0, 0, 12, 0, 0, 0, 20, 0, 0, 0])


@pytest.mark.parametrize(("frames", "bits", "length"), [(1, 1, 1), (3, 143, 54), (8, 143, 143), (2, 64, 16)])
def test_frames_have_no_gap_between_them(frames, bits, length):
    assert native_length(frames, bits) == length


def test_more_pixels_than_an_element_holds_are_refused():
    assert native_length(2**14 - 1, 2**21) == 2**32 - 2**18

    with pytest.raises(SegmentationError, match="16384 frames are 4294967296 bytes"):
        native_length(2**14, 2**21)
