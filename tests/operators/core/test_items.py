"""Items: encoded sequences say what pydicom reads from them, in every encoding."""

import io
import struct

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from operators.core.items import Encoded, PlainObject, encoded_items, parse_items


def make_nested() -> Dataset:
    """Two items, the first with a sequence of its own and values of short and long VRs."""
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    inner.ReferencedSegmentNumber = [7, 9]
    first, second = Dataset(), Dataset()
    first.TextValue = "Größe"
    first.ReferencedSOPSequence = [inner]
    second.ContentSequence = []
    second.ValueType = "CODE"
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPInstanceUID = "1.2"
    dataset.ContentSequence = [first, second]
    return dataset


def written(dataset: Dataset, syntax, *, undefined=False) -> Dataset:
    dataset["ContentSequence"].is_undefined_length = undefined
    for item in dataset.ContentSequence:
        item.is_undefined_length_sequence_item = undefined
    buffer = io.BytesIO()
    implicit = syntax == ImplicitVRLittleEndian
    little = syntax != ExplicitVRBigEndian
    dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    buffer.seek(0)
    return dcmread(buffer, force=True)


@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_items_say_what_was_written(syntax, undefined):
    first, second = PlainObject(written(make_nested(), syntax, undefined=undefined)).items("ContentSequence")

    (reference,) = first.items("ReferencedSOPSequence")
    assert reference.text("ReferencedSOPInstanceUID") == "1.2.3"
    assert reference.numbers("ReferencedSegmentNumber") == (7, 9)
    assert first.value("TextValue").rstrip() == "Größe".encode()
    assert second.items("ContentSequence") == []
    assert "ContentSequence" in second
    assert second.text("ValueType") == "CODE"


def test_a_data_set_in_memory_says_the_same():
    first, _ = PlainObject(make_nested()).items("ContentSequence")

    assert first.first("ReferencedSOPSequence").number("ReferencedSegmentNumber") == 7


def test_what_is_absent_is_empty_and_no_error():
    first, second = PlainObject(make_nested()).items("ContentSequence")

    assert PlainObject(Dataset()).items("ContentSequence") == []
    assert (second.text("TextValue"), second.number("ReferencedSegmentNumber")) == ("", -1)
    assert second.first("ReferencedSOPSequence").text("ReferencedSOPInstanceUID") == ""
    assert first.value("ReferencedSOPSequence") == b""


def test_items_that_are_in_the_file_are_read_without_taking_them_apart():
    dataset = written(make_nested(), ExplicitVRLittleEndian)

    assert len(parse_items(encoded_items(dataset, "ContentSequence"))) == 2
    assert dataset.get_item("ContentSequence").is_raw


def test_deferred_sequences_are_read_from_the_file_when_they_are_asked_for(tmp_path):
    path = tmp_path / "nested.dcm"
    written(make_nested(), ExplicitVRLittleEndian)
    dataset = make_nested()
    dcmwrite(path, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)

    deferred = dcmread(path, force=True, defer_size=8)

    assert deferred.get_item("ContentSequence", keep_deferred=True).value is None
    assert len(PlainObject(deferred).items("ContentSequence")) == 2


def test_keywords_of_sequences_are_listed_without_reading_them():
    dataset = make_nested()
    dataset.add_new(0x00111001, "SQ", Sequence())

    assert list(PlainObject(dataset).sequences()) == ["ContentSequence"]


@pytest.mark.parametrize("cut", [1, 4, 7, 9, 20])
def test_bytes_that_end_too_early_are_an_error_and_no_result(cut):
    data = encoded_items(make_nested(), "ContentSequence").data

    with pytest.raises((ValueError, struct.error)):
        parse_items(Encoded(data[:-cut], implicit=False))


@pytest.mark.parametrize(
    "data",
    [
        b"\xfe\xff\x00\xe0\xff\x00\x00\x00",
        b"\x08\x00\x00\xe0\x00\x00\x00\x00",
        b"\xfe\xff\x00\xe0\x08\x00\x00\x00\x08\x00\x05\x00??\x00\x00",
        b"\xfe\xff\x00\xe0\x08\x00\x00\x00\x08\x00\x05\x00CS\xff\x00",
    ],
    ids=["too long an item", "no item", "no VR", "too long an element"],
)
def test_bytes_that_are_no_items_are_an_error(data):
    with pytest.raises((ValueError, struct.error)):
        parse_items(Encoded(data, implicit=False))
