"""DICOM file: any encoding of a header is read, and its pixels are found; what is cut or a bomb is refused."""

import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from operators.core import dicom_file
from operators.core.dicom_file import PixelLocation
from operators.core.header import read_numbers, read_value, transfer_syntax
from operators.core.reading import read_folder
from operators.core.stored_pixels import read_frames
from tests.builders import make_header, read_only_series, strip_preamble, write_image

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def write_in(folder, syntax, **kwargs):
    """One image of 4 x 3 pixels with a value each."""
    picture = np.arange(12, dtype="<u2").reshape(4, 3)
    return write_image(folder / "a.dcm", make_header(0), picture, syntax=syntax, **kwargs)


def repack(path):
    """Pack a deflated file as other writers do: with fixed codes, and without a byte that makes its length even."""
    data = path.read_bytes()
    # Behind preamble, prefix and the file meta information, whose first element is its length (PS3.10 7.1).
    begin = 144 + int.from_bytes(data[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_FIXED)
    content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[begin:])
    path.write_bytes(data[:begin] + packer.compress(content) + packer.flush())


class TestEncodings:
    """Any encoding of a data set, with file meta information, a preamble, or without."""

    @pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
    def test_pixels_are_located(self, tmp_path, syntax):
        path = write_in(tmp_path, syntax)

        (instance,) = read_only_series(tmp_path).instances

        assert transfer_syntax(instance.header) == syntax
        assert instance.pixels.length == 24
        if syntax != DeflatedExplicitVRLittleEndian:
            order = "<" if syntax.is_little_endian else ">"
            expected = np.arange(12, dtype=f"{order}u2").tobytes()
            assert path.read_bytes()[instance.pixels.offset :][:24] == expected
            assert instance.pixels.file_bytes == path.stat().st_size

    @pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
    def test_headers_say_the_same(self, tmp_path, syntax):
        write_in(tmp_path, syntax)

        (instance,) = read_only_series(tmp_path).instances

        assert instance.uid == make_header(0).SOPInstanceUID
        assert read_numbers(instance.header, "PixelSpacing") == pytest.approx([0.8, 0.6])
        assert read_value(instance.header, "Rows") == 4

    @pytest.mark.parametrize(
        ("implicit", "little_endian"),
        [(True, True), (False, True), (False, False)],
        ids=["implicit", "explicit", "big"],
    )
    def test_bare_data_set_is_an_instance(self, tmp_path, implicit, little_endian):
        path = write_in(tmp_path, ExplicitVRLittleEndian if little_endian else ExplicitVRBigEndian)
        strip_preamble(path, implicit=implicit, little_endian=little_endian)
        assert b"DICM" not in path.read_bytes()

        (instance,) = read_only_series(tmp_path).instances

        assert instance.uid == make_header(0).SOPInstanceUID
        assert (instance.pixels.length, transfer_syntax(instance.header).is_implicit_VR) == (24, implicit)
        assert transfer_syntax(instance.header).is_little_endian is little_endian

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    def test_file_meta_information_without_a_preamble_is_read(self, tmp_path, syntax):
        strip_preamble(write_in(tmp_path, syntax), implicit=False, keep_file_meta=True)

        (instance,) = read_only_series(tmp_path).instances

        assert transfer_syntax(instance.header) == syntax
        assert instance.pixels.length == 24

    def test_instance_without_pixels_has_no_location(self, tmp_path):
        write_in(tmp_path, ExplicitVRLittleEndian, edit=lambda ds: delattr(ds, "PixelData"))

        (instance,) = read_only_series(tmp_path).instances

        assert instance.pixels is None

    @pytest.mark.parametrize("lie", [0, 2, 23, 10**6])
    def test_length_of_pixels_is_what_the_file_says(self, tmp_path, lie):
        """Whether it is right is decided where pixels are read."""
        path = write_in(tmp_path, ExplicitVRLittleEndian)
        data = path.read_bytes()
        at = data.index(b"\xe0\x7f\x10\x00OW\0\0")
        path.write_bytes(data[: at + 8] + lie.to_bytes(4, "little") + data[at + 12 :])

        (instance,) = read_only_series(tmp_path).instances

        assert instance.pixels == PixelLocation(at + 12, lie, len(data))


class TestDeflated:
    """A data set that is packed (PS3.5 A.5)."""

    def test_deflate_bomb_is_broken_and_does_not_grow(self, tmp_path, monkeypatch):
        monkeypatch.setattr(dicom_file, "LARGEST_INFLATED", (4096, 2))
        for index, (name, rows) in enumerate((("small.dcm", 4), ("bomb.dcm", 500))):
            picture = np.zeros((rows, rows), "<u2")
            write_image(tmp_path / name, make_header(index), picture, syntax=DeflatedExplicitVRLittleEndian)

        folder = read_folder(tmp_path)

        assert [(f.name, f.broken) for f in folder.skipped] == [("bomb.dcm", True)]
        assert [i.path.name for i in folder.series[0].instances] == ["small.dcm"]

    @settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rows=st.integers(1, 300), columns=st.integers(1, 30), piece=st.integers(1, 300))
    def test_deflated_file_comes_whole_whatever_its_size(self, tmp_path, monkeypatch, rows, columns, piece):
        """Black pictures pack best: the last byte of the file may stand for hundreds."""
        monkeypatch.setattr(dicom_file, "INFLATED_AT_ONCE", piece)
        picture = np.zeros((rows, columns), "<u2")
        picture[0, 0] = 7
        path = write_image(tmp_path / "a.dcm", make_header(0), picture, syntax=DeflatedExplicitVRLittleEndian)
        repack(path)

        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])

        assert instance.pixels.length == picture.nbytes
        assert bytes(stored) == picture.tobytes()
