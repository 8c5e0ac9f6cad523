"""Frame table: it says of each frame what pydicom reads of it."""

import copy

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import ImplicitVRLittleEndian

from operators.core.frame_table import SourceFrame, decimals, read_frames
from tests.builders import make_affine, make_hu, make_multiframe, make_volume
from tests.results import as_read, make_results


@pytest.fixture(scope="module")
def seg():
    """A stack through 0, whose positions differ in length, so that items have several forms."""
    return make_results(make_volume(affine_lps=make_affine(origin_mm=(-12.5, 7.25, -9.5))))["seg"]


def assert_same_as_pydicom(table, dataset):
    frames = dataset.PerFrameFunctionalGroupsSequence
    shared = dataset.SharedFunctionalGroupsSequence[0]
    assert len(table) == len(frames) == dataset.NumberOfFrames
    for index, frame in enumerate(frames):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert table.segments[index] == frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        assert table.positions[index].tolist() == frame.PlanePositionSequence[0].ImagePositionPatient
        assert table.orientations[index].tolist() == shared.PlaneOrientationSequence[0].ImageOrientationPatient
        assert table.spacings[index].tolist() == shared.PixelMeasuresSequence[0].PixelSpacing
        assert table.sources[index] == (SourceFrame(source.ReferencedSOPInstanceUID, 0),)


def test_frames_of_a_file_are_what_pydicom_reads(seg):
    table = read_frames(seg)

    assert seg.get_item("PerFrameFunctionalGroupsSequence").is_raw
    assert len({len(str(p)) for p in table.positions[:, 2].tolist()}) > 1
    assert_same_as_pydicom(table, copy.deepcopy(seg))


def test_frames_that_pydicom_took_apart_are_the_same(seg):
    taken = copy.deepcopy(seg)
    taken.PerFrameFunctionalGroupsSequence[0].FrameContentSequence[0].StackID = "1"

    assert_same_as_pydicom(read_frames(taken), taken)


def test_frames_in_implicit_vr_are_the_same(seg):
    implicit = copy.deepcopy(seg)
    for _ in implicit.iterall():
        pass
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    implicit["PixelData"].VR = "OW"
    read = as_read(implicit)

    assert read.get_item("PerFrameFunctionalGroupsSequence").is_implicit_VR
    assert_same_as_pydicom(read_frames(read), implicit)


def test_frames_in_sequences_of_undefined_length_are_the_same(seg):
    undefined = copy.deepcopy(seg)
    for item in undefined.PerFrameFunctionalGroupsSequence:
        item.is_undefined_length_sequence_item = True
        for element in item:
            element.is_undefined_length = True
    undefined["PerFrameFunctionalGroupsSequence"].is_undefined_length = True
    read = as_read(undefined)

    assert not read.get_item("PerFrameFunctionalGroupsSequence").is_raw
    assert_same_as_pydicom(read_frames(read), undefined)


def test_frames_of_an_enhanced_image_have_places(tmp_path):
    affine = make_affine()
    header = dcmread(make_multiframe(tmp_path / "mf.dcm", make_hu(4), affine, places=(2, 0, 3, 1)))

    table = read_frames(header)

    expected = [(affine @ (place, 0, 0, 1))[:3] for place in (2, 0, 3, 1)]
    assert np.allclose(table.positions, expected, atol=1e-9)
    assert table.sources == ((),) * 4


def test_an_object_without_frames_has_an_empty_table():
    assert len(read_frames(make_results()["sr"])) == 0


@pytest.mark.parametrize(
    ("value", "numbers"),
    [(b"1\\2.5\\-3e1 ", [1, 2.5, -30]), (b"1\\2\\3\0", [1, 2, 3])],
)
def test_decimal_strings_are_numbers(value, numbers):
    assert list(decimals(value, 3)) == numbers


@pytest.mark.parametrize("value", [b"", b"1\\2", b"1\\2\\3\\4", b"1\\x\\3", b"1_0\\2\\3", b"1\\\\3"])
def test_what_is_no_decimal_string_of_so_many_is_no_number(value):
    assert np.isnan(decimals(value, 3)).all()
