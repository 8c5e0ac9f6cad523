"""Decoding: stored values come out of every transfer syntax as they went in, with their sign and their bits."""

import shutil
import subprocess
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from operators.core.decoding import decode, decode_colour
from operators.core.stored_pixels import read_frames
from tests.builders import make_header, read_only_series, write_image

NATIVE = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}
ROWS, COLUMNS = 45, 37
needs_dcmtk = pytest.mark.skipif(shutil.which("dcmcjpeg") is None, reason="dcmtk is not installed")


def scene(low, high, dtype) -> np.ndarray:
    """`(45, 37)`: a ramp with noise from the lowest to the highest value, both of them in it."""
    rng = np.random.default_rng(7)
    ramp = np.linspace(low, high, ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    noisy = np.clip(ramp + rng.normal(0, (high - low) / 50, ramp.shape), low, high).round()
    noisy.flat[0], noisy.flat[-1] = low, high
    return noisy.astype(dtype)


PICTURES = {
    "signed 16 of 16": (scene(-32768, 32767, np.int16), 16),
    "unsigned 16 of 16": (scene(0, 65535, np.uint16), 16),
    "signed 12 of 16": (scene(-2048, 2047, np.int16), 12),
    "unsigned 12 of 16": (scene(0, 4095, np.uint16), 12),
    "unsigned 8 of 8": (scene(0, 255, np.uint8), 8),
    "signed 8 of 8": (scene(-128, 127, np.int8), 8),
    "unsigned 6 of 8": (scene(0, 63, np.uint8), 6),
}
pictures = pytest.mark.parametrize(("stored", "bits"), PICTURES.values(), ids=PICTURES)


def decoded(folder) -> np.ndarray:
    """The stored values of the only image of a folder."""
    (instance,) = read_only_series(folder).instances
    ((_, stored),) = read_frames(instance, [1])
    return decode(stored, instance)


def as_unsigned(stored, bits) -> np.ndarray:
    """The bits of the values, those beyond Bits Stored empty, as codestreams without a sign hold them."""
    plain = stored.view(f"u{stored.itemsize}")
    return plain & plain.dtype.type(2**bits - 1)


def j2k(stored, bits) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(stored, level=0, reversible=True, codecformat="j2k", bitspersample=bits))


def htj2k(stored, bits) -> bytes:
    return bytes(imagecodecs.htj2k_encode(stored, reversible=True))


def rle(stored, bits) -> bytes:
    return RLELosslessEncoder.encode(
        stored,
        rows=ROWS,
        columns=COLUMNS,
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=8 * stored.itemsize,
        bits_stored=bits,
        pixel_representation=int(stored.dtype.kind == "i"),
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )


ENCODERS = {
    "JPEG 2000 lossless": (JPEG2000Lossless, j2k),
    "JPEG 2000 lossless, precision of Bits Allocated": (
        JPEG2000Lossless,
        lambda stored, bits: j2k(stored, 8 * stored.itemsize),
    ),
    "HTJ2K lossless": (HTJ2KLossless, htj2k),
    "HTJ2K lossless RPCL": (HTJ2KLosslessRPCL, htj2k),
    "HTJ2K": (HTJ2K, htj2k),
    "JPEG-LS": (JPEGLSLossless, lambda stored, bits: bytes(imagecodecs.jpegls_encode(as_unsigned(stored, bits)))),
    "JPEG lossless": (
        JPEGLosslessSV1,
        lambda stored, bits: bytes(
            imagecodecs.jpeg8_encode(as_unsigned(stored, bits), lossless=True, predictor=1, bitspersample=bits)
        ),
    ),
    "RLE": (RLELossless, rle),
}


class TestNative:
    """Bytes as they are."""

    @pictures
    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    def test_values_come_back(self, tmp_path, stored, bits, syntax):
        write_image(tmp_path / "a.dcm", make_header(0), stored, bits_stored=bits, syntax=syntax)

        found = decoded(tmp_path)

        assert np.array_equal(found, stored)
        assert found.dtype.kind == stored.dtype.kind

    @pytest.mark.parametrize("dtype", [np.int32, np.uint32])
    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    def test_32_bits_come_back(self, tmp_path, dtype, syntax):
        limits = np.iinfo(dtype)
        stored = scene(limits.min / 2, limits.max / 2, dtype)
        write_image(tmp_path / "a.dcm", make_header(0), stored, syntax=syntax)

        assert np.array_equal(decoded(tmp_path), stored)

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    @pytest.mark.parametrize("signed", [False, True])
    def test_bits_beyond_bits_stored_are_gone(self, tmp_path, syntax, signed):
        """Old devices kept overlays there (PS3.5 8.1.1, retired)."""
        stored = scene(-2048, 2047, np.int16) if signed else scene(0, 4095, np.uint16)
        overlay = np.random.default_rng(3).integers(0, 16, stored.shape).astype(np.uint16) << 12
        dirty = ((stored.view(np.uint16) & 0x0FFF) | overlay).view(stored.dtype)
        write_image(tmp_path / "a.dcm", make_header(0), dirty, bits_stored=12, syntax=syntax)

        assert np.array_equal(decoded(tmp_path), stored)

    @pytest.mark.parametrize("syntax", NATIVE.values(), ids=NATIVE)
    @pytest.mark.parametrize("signed", [False, True])
    @pytest.mark.parametrize("high_bit", [15, 13])
    def test_high_bit_says_where_the_value_lies(self, tmp_path, syntax, signed, high_bit):
        stored = scene(-2048, 2047, np.int16) if signed else scene(0, 4095, np.uint16)
        garbage = np.uint16(0xFFFF) ^ np.uint16(0x0FFF << (high_bit - 11) & 0xFFFF)
        moved = ((stored.view(np.uint16) << (high_bit - 11)) & ~garbage) | garbage

        def lift(header):
            header.HighBit = high_bit

        write_image(
            tmp_path / "a.dcm", make_header(0), moved.view(stored.dtype), bits_stored=12, syntax=syntax, edit=lift
        )

        assert np.array_equal(decoded(tmp_path), stored)

    @pictures
    def test_pydicom_reads_the_same(self, tmp_path, stored, bits):
        path = write_image(tmp_path / "a.dcm", make_header(0), stored, bits_stored=bits)

        assert np.array_equal(decoded(tmp_path), dcmread(path).pixel_array)

    @pytest.mark.parametrize(
        ("keyword", "value"),
        [
            ("BitsAllocated", 12),
            ("BitsAllocated", 0),
            ("BitsAllocated", 64),
            ("BitsStored", 17),
            ("BitsStored", 0),
            ("HighBit", 16),
            ("HighBit", 3),
            ("PixelRepresentation", 2),
        ],
    )
    def test_bits_that_contradict_each_other_are_refused(self, tmp_path, keyword, value):
        write_image(tmp_path / "a.dcm", make_header(0), scene(0, 9, np.uint16))
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])
        instance.header[keyword].value = value

        with pytest.raises(ValueError, match=r"agree|PixelRepresentation"):
            decode(stored, replace(instance))

    @pytest.mark.parametrize("keyword", ["BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"])
    def test_bits_that_are_not_said_are_not_guessed(self, tmp_path, keyword):
        """All of Type 1 (PS3.3 C.7.6.3)."""
        write_image(tmp_path / "a.dcm", make_header(0), scene(0, 9, np.uint16))
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])
        del instance.header[keyword]

        with pytest.raises(ValueError, match=keyword):
            decode(stored, replace(instance))


class TestLossless:
    """What an encoder that is not ours wrote comes back to the last bit."""

    @pictures
    @pytest.mark.parametrize(("syntax", "encode"), ENCODERS.values(), ids=ENCODERS)
    def test_values_come_back(self, tmp_path, stored, bits, syntax, encode):
        if encode is htj2k and bits != 8 * stored.itemsize:
            pytest.skip("OpenJPH writes the precision of the array only")
        write_image(
            tmp_path / "a.dcm",
            make_header(0),
            stored,
            bits_stored=bits,
            syntax=syntax,
            codestreams=[encode(stored, bits)],
        )

        found = decoded(tmp_path)

        assert np.array_equal(found, stored)
        assert found.dtype.kind == stored.dtype.kind

    @pictures
    @pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
    def test_what_pydicom_compressed_comes_back(self, tmp_path, stored, bits, syntax):
        path = write_image(tmp_path / "a.dcm", make_header(0), stored, bits_stored=bits)
        dataset = dcmread(path)
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(path)

        assert np.array_equal(decoded(tmp_path), stored)

    @pytest.mark.parametrize("name", [name for name in PICTURES if name.startswith("signed")])
    @pytest.mark.parametrize("precision", ["Bits Stored", "Bits Allocated"])
    @pytest.mark.parametrize("extended", [False, True], ids=["bits beyond are 0", "bits beyond are the sign"])
    @pytest.mark.parametrize("kind", ["JPEG 2000", "JPEG-LS"])
    def test_sign_is_the_header_s_where_the_codestream_has_none(self, tmp_path, name, precision, extended, kind):
        """JPEG-LS has no sign, and some devices write signed pixels into an unsigned JPEG 2000 (PS3.5 8.2.3, 8.2.4)."""
        stored, bits = PICTURES[name]
        written = 8 * stored.itemsize if precision == "Bits Allocated" or extended else bits
        plain = as_unsigned(stored, 8 * stored.itemsize if extended else bits)
        if kind == "JPEG 2000":
            syntax, codestream = JPEG2000Lossless, j2k(plain, written)
        else:
            syntax, codestream = JPEGLSLossless, bytes(imagecodecs.jpegls_encode(plain))
        write_image(
            tmp_path / "a.dcm", make_header(0), stored, bits_stored=bits, syntax=syntax, codestreams=[codestream]
        )

        assert np.array_equal(decoded(tmp_path), stored)

    @needs_dcmtk
    @pictures
    @pytest.mark.parametrize(
        "command",
        [
            ["dcmcjpeg", "+e1"],
            ["dcmcjpeg", "+el", "+sv", "6"],
            ["dcmcjpeg", "+el", "+sv", "4"],
            ["dcmcjpls", "+el"],
            ["dcmcrle"],
        ],
        ids=" ".join,
    )
    def test_what_dcmtk_compressed_comes_back(self, tmp_path, stored, bits, command):
        path = write_image(tmp_path / "native" / "a.dcm", make_header(0), stored, bits_stored=bits)
        (tmp_path / "in").mkdir()
        done = subprocess.run([*command, path, tmp_path / "in" / "a.dcm"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"dcmtk does not compress this: {done.stderr.splitlines()[-1:]}")

        assert np.array_equal(decoded(tmp_path / "in"), stored)

    def test_8_bits_in_a_jpeg_of_16_allocated_come_back(self, tmp_path):
        """A JPEG of 8 bits where the header allocates 16."""
        stored = scene(0, 255, np.uint16)
        codestream = bytes(imagecodecs.jpeg8_encode(stored.astype(np.uint8), lossless=True, bitspersample=8))
        write_image(
            tmp_path / "a.dcm",
            make_header(0),
            stored,
            bits_stored=8,
            syntax=JPEGLosslessSV1,
            codestreams=[codestream],
        )

        assert np.array_equal(decoded(tmp_path), stored)


class TestLossy:
    """What was lost is lost; other decoders find the same rest."""

    @needs_dcmtk
    @pytest.mark.parametrize(
        ("command", "judge", "stored", "bits"),
        [
            (["dcmcjpeg", "+eb", "+q", "90"], "dcmdjpeg", PICTURES["unsigned 8 of 8"][0], 8),
            (["dcmcjpeg", "+ee", "+q", "90"], "dcmdjpeg", PICTURES["unsigned 8 of 8"][0], 8),
            (["dcmcjpeg", "+ee", "+q", "90"], "dcmdjpeg", PICTURES["unsigned 12 of 16"][0], 12),
            (["dcmcjpls", "+en", "+md", "3"], "dcmdjpls", PICTURES["unsigned 12 of 16"][0], 12),
            (["dcmcjpls", "+en", "+md", "3"], "dcmdjpls", PICTURES["unsigned 16 of 16"][0], 16),
        ],
        ids=["baseline", "extended 8", "extended 12", "near 12", "near 16"],
    )
    def test_dcmtk_finds_the_same_values(self, tmp_path, command, judge, stored, bits):
        native, packed, unpacked = (tmp_path / name / "a.dcm" for name in ("native", "packed", "unpacked"))
        write_image(native, make_header(0), stored, bits_stored=bits)
        for program, source, target in ((command, native, packed), ([judge], packed, unpacked)):
            target.parent.mkdir()
            subprocess.run([*program, source, target], check=True, capture_output=True)

        found = decoded(packed.parent)

        # Implementations of the inverse DCT may differ by one (ISO/IEC 10918-2); JPEG-LS is exact.
        tolerance = 0 if judge == "dcmdjpls" else 1
        assert np.abs(found.astype(int) - dcmread(unpacked).pixel_array.astype(int)).max() <= tolerance
        assert not np.array_equal(found, stored)

    @pytest.mark.parametrize("name", ["unsigned 12 of 16", "signed 16 of 16", "unsigned 8 of 8"])
    def test_openjpeg_by_way_of_pydicom_finds_the_same_values(self, tmp_path, name):
        stored, bits = PICTURES[name]
        codestream = bytes(imagecodecs.jpeg2k_encode(stored, level=40, codecformat="j2k", bitspersample=bits))
        path = write_image(
            tmp_path / "a.dcm", make_header(0), stored, bits_stored=bits, syntax=JPEG2000, codestreams=[codestream]
        )
        dataset = dcmread(path)
        dataset.pixel_array_options(decoding_plugin="pylibjpeg")

        found = decoded(tmp_path)

        assert np.array_equal(found, dataset.pixel_array)
        assert not np.array_equal(found, stored)


class TestHostile:
    """Bytes that are not what the header says give an error, never another picture."""

    @pytest.mark.parametrize(("syntax", "encode"), ENCODERS.values(), ids=ENCODERS)
    def test_codestream_cut_anywhere_is_refused(self, tmp_path, syntax, encode):
        stored, bits = PICTURES["unsigned 16 of 16"]
        whole = encode(stored, bits)
        write_image(tmp_path / "a.dcm", make_header(0), stored, syntax=syntax, codestreams=[whole])
        (instance,) = read_only_series(tmp_path).instances
        wrong = []

        # The last bytes are the end marker, and a byte of padding.
        for length in range(0, len(whole) - 3, 13):
            try:
                if not np.array_equal(decode(whole[:length], instance), stored):
                    wrong.append(length)
            except (ValueError, RuntimeError, EOFError, NotImplementedError):
                continue

        assert wrong == []

    @pytest.mark.parametrize(("syntax", "encode"), ENCODERS.values(), ids=ENCODERS)
    @pytest.mark.parametrize("shape", [(ROWS + 1, COLUMNS), (ROWS, COLUMNS - 1), (COLUMNS, ROWS)])
    def test_picture_of_another_size_is_refused(self, tmp_path, syntax, encode, shape):
        stored, bits = PICTURES["unsigned 16 of 16"]

        def lie(header):
            header.Rows, header.Columns = shape

        write_image(
            tmp_path / "a.dcm", make_header(0), stored, syntax=syntax, codestreams=[encode(stored, bits)], edit=lie
        )
        if syntax == RLELossless and shape == (COLUMNS, ROWS):
            pytest.skip("RLE does not say its shape, and the number of pixels is the same")

        with pytest.raises((ValueError, RuntimeError)):
            decoded(tmp_path)

    @pytest.mark.parametrize(
        "syntax", [JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, JPEGBaseline8Bit, RLELossless]
    )
    @pytest.mark.parametrize("stored", [b"", b"\0\0", b"garbage" * 40, b"\xff\xd8\xff\xd9", b"\xff" * 500])
    def test_garbage_is_refused(self, tmp_path, syntax, stored):
        write_image(tmp_path / "a.dcm", make_header(0), scene(0, 9, np.uint16), syntax=syntax, codestreams=[b"\0\0"])
        (instance,) = read_only_series(tmp_path).instances

        with pytest.raises((ValueError, RuntimeError, EOFError)):
            decode(stored, instance)

    @pytest.mark.parametrize("length", [0, 2, ROWS * COLUMNS * 2 - 2, ROWS * COLUMNS * 2 + 2])
    def test_native_bytes_of_another_length_are_refused(self, tmp_path, length):
        write_image(tmp_path / "a.dcm", make_header(0), scene(0, 9, np.uint16))
        (instance,) = read_only_series(tmp_path).instances

        with pytest.raises(ValueError, match=r"reshape|size"):
            decode(bytes(length), instance)

    def test_decoded_values_do_not_change_the_bytes_given(self, tmp_path):
        stored = scene(0, 4095, np.uint16)
        write_image(tmp_path / "a.dcm", make_header(0), stored, bits_stored=12)
        (instance,) = read_only_series(tmp_path).instances
        data = bytearray(stored.astype("<u2").tobytes())
        before = bytes(data)

        decode(memoryview(data), instance)

        assert bytes(data) == before


class TestColour:
    """Red, green and blue of 8 bits."""

    @staticmethod
    def picture():
        return np.random.default_rng(5).integers(0, 256, (9, 7, 3), dtype=np.uint8)

    @staticmethod
    def write(path, colour, photometric="RGB", planar=0, **kwargs):
        header = make_header(0)

        def describe(dataset):
            dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, photometric
            dataset.PlanarConfiguration = planar
            dataset.Rows, dataset.Columns = colour.shape[:2]
            del dataset.NumberOfFrames
            if not kwargs:
                plane = colour.transpose(2, 0, 1) if planar else colour
                dataset.PixelData = plane.tobytes() + b"\0" * (plane.size % 2)

        return write_image(path, header, colour, edit=describe, **kwargs)

    @pytest.mark.parametrize("planar", [0, 1])
    def test_rgb_comes_back(self, tmp_path, planar):
        self.write(tmp_path / "a.dcm", self.picture(), planar=planar)
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])

        assert np.array_equal(decode_colour(stored, instance), self.picture())

    def test_rgb_in_jpeg_2000_comes_back(self, tmp_path):
        codestream = bytes(
            imagecodecs.jpeg2k_encode(self.picture(), level=0, reversible=True, codecformat="j2k", mct=False)
        )
        self.write(tmp_path / "a.dcm", self.picture(), syntax=JPEG2000Lossless, codestreams=[codestream])
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])

        assert np.array_equal(decode_colour(stored, instance), self.picture())

    def test_brightness_and_colour_difference_become_rgb(self, tmp_path):
        path = self.write(tmp_path / "a.dcm", self.picture(), photometric="YBR_FULL")
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])

        # PS3.3 C.7.6.3.1.2, the inverse.
        y, b, r = (self.picture().astype(float)[..., i] for i in range(3))
        expected = np.stack(
            [y + 1.402 * (r - 128), y - 0.344136 * (b - 128) - 0.714136 * (r - 128), y + 1.772 * (b - 128)], -1
        )
        found = decode_colour(stored, instance).astype(float)
        assert np.abs(found - expected.clip(0, 255)).max() <= 1
        assert np.array_equal(found, dcmread(path).pixel_array)

    def test_gray_is_no_colour(self, tmp_path):
        write_image(tmp_path / "a.dcm", make_header(0), scene(0, 255, np.uint8))
        (instance,) = read_only_series(tmp_path).instances
        ((_, stored),) = read_frames(instance, [1])

        with pytest.raises(ValueError, match="colour"):
            decode_colour(stored, instance)
