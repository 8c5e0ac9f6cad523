"""Items from templates are what pydicom encodes (PS3.3 C.7.6.16, PS3.5 7.5)."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence_item
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat

from operators.core.volume import SourceSlice
from operators.write.seg_items import encode_items, with_segment_number

coordinate = st.floats(-9999, 9999, allow_nan=False)
uids = st.integers(0, 2**128).map(lambda number: f"2.25.{number}")


def make_item(uid, position, number, place):
    """A plane as highdicom describes it, without its codes."""
    source = Dataset()
    source.ReferencedSOPClassUID = CTImageStorage
    source.ReferencedSOPInstanceUID = uid
    derivation, content, plane, segment, item = (Dataset() for _ in range(5))
    derivation.SourceImageSequence = [source]
    content.DimensionIndexValues = place if number is None else [number, place]
    plane.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in position]
    item.DerivationImageSequence = [derivation]
    item.FrameContentSequence = [content]
    item.PlanePositionSequence = [plane]
    if number is not None:
        segment.ReferencedSegmentNumber = number
        item.SegmentIdentificationSequence = [segment]
    return item


def encoded_by_pydicom(item) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_sequence_item(buffer, item, ["iso8859"])
    return buffer.getvalue()


def make_source(uid, position):
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, uid
    header.ImagePositionPatient = [DSfloat(value, auto_format=True) for value in position]
    return SourceSlice(Path("x.dcm"), header, "")


planes = st.lists(st.tuples(uids, st.tuples(coordinate, coordinate, coordinate)), min_size=1, max_size=6)


@settings(deadline=None)
@given(planes, st.integers(1, 65535))
def test_items_are_what_pydicom_encodes(described, number):
    sources = [make_source(*plane) for plane in described]
    expected = [make_item(uid, position, number, place) for place, (uid, position) in enumerate(described, start=1)]

    encoded = encode_items(make_item("2.25.0", (0, 0, 0), 1, 1), sources)

    assert [with_segment_number(item, number) for item in encoded] == [encoded_by_pydicom(item) for item in expected]


@settings(deadline=None)
@given(planes)
def test_items_that_name_no_segment_stay_as_they_are(described):
    sources = [make_source(*plane) for plane in described]
    expected = [make_item(uid, position, None, place) for place, (uid, position) in enumerate(described, start=1)]

    encoded = encode_items(make_item("2.25.0", (0, 0, 0), None, 1), sources)

    assert [with_segment_number(item, 7) for item in encoded] == [encoded_by_pydicom(item) for item in expected]
