"""Header walk: what it reads is what pydicom reads, element by element, or it leaves the file to pydicom."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from operators.core.header_walk import known_tag, walk_header
from tests.builders import make_ct_series
from tests.conftest import SHARED_DATA

FILES = [p for p in sorted(SHARED_DATA.rglob("*")) if p.is_file() and p.suffix not in {".json", ".md", ".gz", ".nrrd"}]


def elements_of(data_set) -> list[tuple]:
    """Every element as it is in the file; those that pydicom has converted already by their value."""
    return [
        tuple(item) if item.is_raw else (item.tag, item.VR, item.value)
        for item in (data_set.get_item(tag) for tag in sorted(data_set.keys()))
    ]


def with_converted(data_set, like) -> Dataset:
    """The data set with those elements converted that are converted in another one."""
    for tag in list(like.keys()):
        if not like.get_item(tag).is_raw:
            data_set[tag]  # pydicom converts an element when it is first looked at
    return data_set


def assert_equal_to_pydicom(content: bytes) -> None:
    header, at = walk_header(content)
    expected = dcmread(io.BytesIO(content), stop_before_pixels=True)
    for ours, theirs in ((header, expected), (header.file_meta, expected.file_meta)):
        assert elements_of(with_converted(ours, theirs)) == elements_of(theirs)
    assert header.original_encoding == expected.original_encoding
    assert header.original_character_set == expected.original_character_set
    assert content[at : at + 4] in {b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00"}


@pytest.mark.parametrize("implicit", [False, True], ids=["explicit", "implicit"])
def test_built_file_reads_as_pydicom_reads_it(tmp_path, implicit):
    def japanese(dataset, _index):
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.PatientName = "Yamada^Tarou=山田^太郎"
        dataset.StudyID = ""

    path = make_ct_series(tmp_path, slices=1, edit=japanese)[0]
    if implicit:
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        dataset.save_as(path, implicit_vr=True, little_endian=True)

    assert_equal_to_pydicom(path.read_bytes())
    header, _ = walk_header(path.read_bytes())
    assert str(header.PatientName).endswith("山田^太郎")


@pytest.mark.skipif(not FILES, reason="shared/data is not here")
def test_real_files_read_as_pydicom_reads_them():
    plain = 0
    for path in FILES:
        content = path.read_bytes()
        if content[128:132] == b"DICM" and walk_header(content) is not None:
            assert_equal_to_pydicom(content)
            plain += 1

    assert plain > len(FILES) / 2


def test_keys_are_the_objects_that_values_are_asked_for_with(tmp_path):
    """Python need not compare them then, which pydicom's tags do slowly."""
    header, _ = walk_header(make_ct_series(tmp_path, slices=1)[0].read_bytes())

    assert any(tag is known_tag(0x0020000E) for tag in header.keys())  # noqa: SIM118 - iteration converts elements


class TestLeftToPydicom:
    """Anything that is not plain is none of this module's business."""

    @staticmethod
    def content(tmp_path) -> bytes:
        return make_ct_series(tmp_path, slices=1)[0].read_bytes()

    @pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, "1.2.3", ""])
    def test_other_encodings(self, tmp_path, syntax):
        plain = b"1.2.840.10008.1.2.1\0"
        content = self.content(tmp_path).replace(plain, str(syntax).encode().ljust(len(plain), b"\0"), 1)

        assert walk_header(content) is None

    def test_sequence_of_undefined_length(self, tmp_path):
        begin = b"\x08\x00\x08\x00CS"
        sequence = b"\x08\x00\x06\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0"

        assert walk_header(self.content(tmp_path).replace(begin, sequence + begin, 1)) is None

    def test_tag_that_stands_twice(self, tmp_path):
        element = b"\x28\x00\x10\x00US\x02\x00" + struct.pack("<H", 6)
        content = self.content(tmp_path)

        assert element in content
        assert walk_header(content.replace(element, element + element, 1)) is None

    def test_file_without_pixels_or_with_more_header_than_was_read(self, tmp_path):
        content = self.content(tmp_path)

        assert walk_header(content[: content.index(b"\xe0\x7f\x10\x00")]) is None
        assert walk_header(content[:700]) is None

    @pytest.mark.filterwarnings("ignore")
    @given(cut=st.integers(0, 2000), place=st.integers(0, 1200), byte=st.integers(0, 255))
    def test_damaged_bytes_raise_nothing_and_read_as_pydicom_reads_them(self, tmp_path_factory, cut, place, byte):
        content = bytearray(plain_file(tmp_path_factory)[: 200 + cut])
        if place < len(content):
            content[place] = byte

        walked = walk_header(bytes(content))

        if walked is not None:
            expected = dcmread(io.BytesIO(content), stop_before_pixels=True)
            assert elements_of(with_converted(walked[0], expected)) == elements_of(expected)


def plain_file(tmp_path_factory, _made: list[bytes] = []) -> bytes:  # noqa: B006 - made once
    if not _made:
        folder: Path = tmp_path_factory.mktemp("plain")
        _made.append(make_ct_series(folder, slices=1)[0].read_bytes())
    return _made[0]
