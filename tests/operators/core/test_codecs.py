"""Codecs: imagecodecs serves pydicom for gray images, under a name of its own."""

import importlib

import imagecodecs
import numpy as np
import pytest
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.encoders import RLELosslessEncoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    MPEG2MPML,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from operators.core import codecs
from operators.core.codecs import PLUGIN, decode_frame, is_available

SYNTAXES = [
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000,
    JPEG2000Lossless,
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
]
PICTURE = np.arange(40 * 36, dtype=np.uint16).reshape(40, 36) * 5


class Runner:
    """What pydicom tells a decoder of a frame."""

    def __init__(self, syntax, rows=40, columns=36, bits_allocated=16):
        self.transfer_syntax, self.rows, self.columns, self.bits_allocated = syntax, rows, columns, bits_allocated

    def set_option(self, name, value):
        setattr(self, name, value)


def rle() -> bytes:
    return RLELosslessEncoder.encode(
        PICTURE,
        rows=40,
        columns=36,
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=16,
        bits_stored=16,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_pydicom_knows_the_plugin_for_every_syntax(syntax):
    assert is_available(syntax)
    assert PLUGIN in get_decoder(syntax).available_plugins


def test_syntax_of_films_is_not_decoded():
    assert not is_available(MPEG2MPML)


def test_module_may_be_imported_again():
    importlib.reload(codecs)

    assert get_decoder(RLELossless).available_plugins.count(PLUGIN) == 1


@pytest.mark.parametrize(
    ("syntax", "stored"),
    [
        (RLELossless, rle()),
        (JPEGLSLossless, bytes(imagecodecs.jpegls_encode(PICTURE))),
        (JPEG2000Lossless, bytes(imagecodecs.jpeg2k_encode(PICTURE, level=0, reversible=True, codecformat="j2k"))),
        (JPEGLosslessSV1, bytes(imagecodecs.jpeg8_encode(PICTURE, lossless=True, bitspersample=16))),
    ],
)
def test_frame_is_given_in_little_endian(syntax, stored):
    found = decode_frame(stored, Runner(syntax))

    assert bytes(found) == PICTURE.astype("<u2").tobytes()


def test_pydicom_is_told_of_fewer_bits():
    runner = Runner(JPEGLosslessSV1)
    eight = bytes(imagecodecs.jpeg8_encode(PICTURE.astype(np.uint8), lossless=True, bitspersample=8))

    decode_frame(eight, runner)

    assert runner.bits_allocated == 8


@pytest.mark.parametrize("shape", [(41, 36), (40, 37), (20, 36), (16384, 16384)])
def test_rle_frame_of_another_length_is_refused(shape):
    with pytest.raises((ValueError, RuntimeError)):
        decode_frame(rle(), Runner(RLELossless, *shape))


@pytest.mark.parametrize("bits_allocated", [8, 32])
def test_rle_frame_with_another_number_of_segments_is_refused(bits_allocated):
    with pytest.raises((ValueError, RuntimeError)):
        decode_frame(rle(), Runner(RLELossless, bits_allocated=bits_allocated))


@pytest.mark.parametrize("length", range(0, len(rle()) - 2, 41))
def test_rle_frame_cut_anywhere_is_refused(length):
    with pytest.raises((ValueError, RuntimeError)):
        decode_frame(rle()[:length], Runner(RLELossless))
