"""Codecs: imagecodecs as a decoder of pydicom, for gray images.

imagecodecs leaves Python's lock while it decompresses, so that threads share the work; pydicom goes on to interpret
what comes out: sign, unused bits, fragments (docs/decisions/0010). pydicom imports this module by its name and asks it
for `DECODER_DEPENDENCIES`, `is_available` and `decode_frame`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import imagecodecs
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from operators.core.codestream import JPEG_2000

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.pixels.decoders.base import DecodeRunner

PLUGIN = "mapnode"
# For HTJ2K too: OpenJPH, the other library, gives a whole image for half of the data without a word.
JPEG_2000_SYNTAXES = dict.fromkeys(JPEG_2000, imagecodecs.jpeg2k_decode)
DECODERS: dict[UID, Callable[[bytes], Any]] = {
    **JPEG_2000_SYNTAXES,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
    # libjpeg-turbo: the only one that is right for point transforms and for 12 bits.
    JPEGBaseline8Bit: imagecodecs.jpeg8_decode,
    JPEGExtended12Bit: imagecodecs.jpeg8_decode,
    JPEGLossless: imagecodecs.jpeg8_decode,
    JPEGLosslessSV1: imagecodecs.jpeg8_decode,
}
DECODER_DEPENDENCIES = dict.fromkeys((*DECODERS, RLELossless), ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether a transfer syntax is decoded here."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(src: bytes, runner: DecodeRunner) -> bytearray | bytes:
    """Decompress one gray frame for pydicom.

    Args:
        src: The codestream, which `check_codestream` looked at.
        runner: What pydicom knows of the frame.

    Returns:
        Its bytes in little endian.

    Raises:
        ValueError: If the frame has another length than its header says.
    """
    if runner.transfer_syntax == RLELossless:
        return _decode_rle(src, runner)
    array = DECODERS[UID(runner.transfer_syntax)](src)
    runner.set_option("bits_allocated", 8 * array.itemsize)
    return bytearray(array)


def _decode_rle(src: bytes, runner: DecodeRunner) -> bytes:
    expected = runner.rows * runner.columns * runner.bits_allocated // 8
    decoded = bytes(imagecodecs.dicomrle_decode(src, f"<u{runner.bits_allocated // 8}", out=expected))
    if len(decoded) != expected:
        raise ValueError(f"the RLE frame has {len(decoded)} bytes, the header says {expected}")
    return decoded


for _decoder in map(get_decoder, DECODER_DEPENDENCIES):
    if PLUGIN not in _decoder.available_plugins:
        _decoder.add_plugin(PLUGIN, (__name__, "decode_frame"))
