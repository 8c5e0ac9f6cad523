"""Codestream: compressed pixels that are not the image of their header are refused before they are decompressed."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from operators.core.codestream import (
    MOST_TILES,
    PADDING_BYTES,
    ImageSize,
    check_codestream,
    size_of_jpeg,
    size_of_jpeg_2000,
)

PICTURE = (np.arange(12 * 20, dtype=np.uint16) * 17).reshape(12, 20)
SIZE = ImageSize(rows=12, columns=20, components=1, precision=16)
SIZ = struct.Struct(">8I H B")
"""Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz, Csiz, first Ssiz (ISO/IEC 15444-1 table A.9)."""


def j2k(picture=PICTURE, **kwargs) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(picture, level=0, reversible=True, codecformat="j2k", **kwargs))


def jpeg(picture=PICTURE) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(picture, lossless=True, bitspersample=8 * picture.itemsize))


def jpeg_ls(picture=PICTURE) -> bytes:
    return bytes(imagecodecs.jpegls_encode(picture))


def siz(**changes) -> bytes:
    """A JPEG 2000 codestream whose SIZ marker says something else."""
    names = ("x", "y", "left", "top", "tile_x", "tile_y", "tile_left", "tile_top", "components", "depth")
    stored = bytearray(j2k())
    values = dict(zip(names, SIZ.unpack_from(stored, 8), strict=True)) | changes
    SIZ.pack_into(stored, 8, *values.values())
    return bytes(stored)


ENCODED = {
    "JPEG 2000": (j2k(), JPEG2000Lossless),
    "JPEG lossless": (jpeg(), JPEGLosslessSV1),
    "JPEG-LS": (jpeg_ls(), JPEGLSLossless),
}
encoded = pytest.mark.parametrize(("stored", "syntax"), ENCODED.values(), ids=ENCODED)


class TestSize:
    """Rows, columns, components and precision as the encoder was given them."""

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    @pytest.mark.parametrize("shape", [(12, 20), (1, 7), (300, 257)])
    @pytest.mark.parametrize(
        ("encode", "size_of"), [(j2k, size_of_jpeg_2000), (jpeg, size_of_jpeg), (jpeg_ls, size_of_jpeg)]
    )
    def test_size_is_that_of_the_picture(self, encode, size_of, shape, dtype):
        picture = (np.arange(np.prod(shape)) % 251).astype(dtype).reshape(shape)

        found = size_of(encode(picture))

        assert (found.rows, found.columns, found.components) == (*shape, 1)
        assert found.precision == 8 * picture.itemsize

    def test_colour_has_three_components(self):
        colour = np.zeros((4, 6, 3), np.uint8)

        assert size_of_jpeg_2000(j2k(colour)) == ImageSize(4, 6, 3, 8)
        assert size_of_jpeg(bytes(imagecodecs.jpeg8_encode(colour))) == ImageSize(4, 6, 3, 8)

    def test_codestream_in_a_jp2_file_is_found(self):
        boxed = bytes(imagecodecs.jpeg2k_encode(PICTURE, level=0, reversible=True, codecformat="jp2"))

        assert not boxed.startswith(b"\xff\x4f")
        assert size_of_jpeg_2000(boxed) == SIZE

    def test_signed_precision_is_counted_without_the_sign(self):
        assert size_of_jpeg_2000(siz(depth=0x80 | 15)).precision == 16

    def test_fill_bytes_and_other_segments_before_the_frame_are_passed_over(self):
        comment = b"\xff\xff\xff\xfe\x00\x06\xff\xc0ab"
        whole = jpeg()

        assert size_of_jpeg(whole[:2] + comment + whole[2:]) == SIZE

    @pytest.mark.parametrize("marker", [0xC4, 0xC8, 0xCC])
    def test_tables_are_not_taken_for_a_frame(self, marker):
        table = bytes([0xFF, marker]) + b"\x00\x09\x08\x00\x01\x00\x01\x01\x00"
        whole = jpeg()

        assert size_of_jpeg(whole[:2] + table + whole[2:]) == SIZE


class TestCheck:
    """The header's size, or none."""

    @encoded
    def test_image_of_its_header_passes(self, stored, syntax):
        check_codestream(stored, syntax, SIZE, 16)

    @encoded
    @pytest.mark.parametrize(
        "lie",
        [
            ImageSize(11, 20, 1, 16),
            ImageSize(12, 21, 1, 16),
            ImageSize(20, 12, 1, 16),
            ImageSize(60000, 60000, 1, 16),
            ImageSize(12, 20, 3, 16),
        ],
    )
    def test_other_size_than_the_header_s_is_refused(self, stored, syntax, lie):
        with pytest.raises(ValueError, match="the header says"):
            check_codestream(stored, syntax, lie, 16)

    @encoded
    @pytest.mark.parametrize(("bits_stored", "bits_allocated"), [(16, 16), (12, 16), (1, 32)])
    def test_precision_may_be_bits_stored_or_up_to_bits_allocated(self, stored, syntax, bits_stored, bits_allocated):
        check_codestream(stored, syntax, ImageSize(12, 20, 1, bits_stored), bits_allocated)

    @encoded
    @pytest.mark.parametrize(("bits_stored", "bits_allocated"), [(8, 8), (17, 32)])
    def test_precision_beyond_is_refused(self, stored, syntax, bits_stored, bits_allocated):
        with pytest.raises(ValueError, match="precision"):
            check_codestream(stored, syntax, ImageSize(12, 20, 1, bits_stored), bits_allocated)

    @pytest.mark.parametrize("changes", [{"x": 60000}, {"y": 60000}, {"components": 3}, {"depth": 7}])
    def test_codestream_that_lies_about_itself_is_refused(self, changes):
        with pytest.raises(ValueError, match=r"the header says|tiles"):
            check_codestream(siz(**changes), JPEG2000Lossless, SIZE, 16)

    @pytest.mark.parametrize(
        "changes",
        [
            {"left": 1},
            {"top": 1},
            {"tile_left": 1},
            {"tile_top": 1},
            {"tile_x": 0},
            {"tile_y": 0},
            {"x": MOST_TILES + 1, "tile_x": 1},
            {"y": MOST_TILES + 1, "tile_y": 1},
            {"x": 2**32 - 1, "tile_x": 1},
        ],
    )
    def test_offsets_and_too_many_tiles_are_refused(self, changes):
        with pytest.raises(ValueError, match="tiles"):
            size_of_jpeg_2000(siz(**changes))

    @pytest.mark.parametrize(
        "stored", [b"", b"\xff\x4f", b"\xff\x4f\xff\x51" + bytes(38), b"\0" * 1021 + j2k(), jpeg()]
    )
    def test_what_is_no_jpeg_2000_is_refused(self, stored):
        with pytest.raises(ValueError, match="no JPEG 2000"):
            check_codestream(stored, JPEG2000Lossless, SIZE, 16)

    @pytest.mark.parametrize("stored", [b"", b"\xff", b"\xff\xd9", b"\0\0" + jpeg(), j2k()])
    @pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLSLossless])
    def test_what_is_no_jpeg_is_refused(self, stored, syntax):
        with pytest.raises(ValueError, match="no JPEG image"):
            check_codestream(stored, syntax, SIZE, 16)

    @pytest.mark.parametrize(
        "rest", [b"", b"\xff\xd9", b"\xff\xfe\x00\x02" * 9, b"ab" * 20, b"\xff\xfe\xff\xff" + bytes(40), b"\xff" * 99]
    )
    def test_jpeg_without_a_frame_is_refused(self, rest):
        with pytest.raises(ValueError, match="without a frame"):
            size_of_jpeg(b"\xff\xd8" + rest)

    def test_segment_of_no_length_does_not_hang(self):
        with pytest.raises(ValueError, match="without a frame"):
            size_of_jpeg(b"\xff\xd8" + b"\xff\xfe\x00\x00" * 50)

    @pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS"])
    @pytest.mark.parametrize("cut", [1, 2, 10, 60])
    def test_cut_jpeg_is_refused(self, name, cut):
        stored, syntax = ENCODED[name]

        with pytest.raises(ValueError, match="cut off"):
            check_codestream(stored[:-cut], syntax, SIZE, 16)

    @pytest.mark.parametrize("name", ["JPEG lossless", "JPEG-LS"])
    @pytest.mark.parametrize("padding", [b"\0", b"\xff\xff", bytes(PADDING_BYTES - 2)])
    def test_padding_behind_the_end_is_accepted(self, name, padding):
        stored, syntax = ENCODED[name]

        check_codestream(stored + padding, syntax, SIZE, 16)

    @pytest.mark.parametrize("syntax", [RLELossless, ExplicitVRLittleEndian])
    def test_other_transfer_syntaxes_say_nothing_of_themselves(self, syntax):
        check_codestream(b"", syntax, SIZE, 16)

    @given(
        start=st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xc0", b"\xff\x4f\xff\x51"]), rest=st.binary(max_size=90)
    )
    def test_any_bytes_have_a_size_or_are_refused(self, start, rest):
        for size_of in (size_of_jpeg, size_of_jpeg_2000):
            try:
                found = size_of(start + rest)
            except ValueError:
                continue
            assert isinstance(found, ImageSize)


def test_signed_image_under_a_header_without_signs_is_refused():
    encoded = imagecodecs.jpeg2k_encode(np.full((8, 8), -1000, np.int16), level=0, codecformat="j2k", reversible=True)

    with pytest.raises(ValueError, match="is signed, its Pixel Representation is not"):
        check_codestream(encoded, JPEG2000Lossless, ImageSize(8, 8, 1, 16), 16)
    check_codestream(encoded, JPEG2000Lossless, ImageSize(8, 8, 1, 16, signed=True), 16)
