"""Decoding: the bytes of a frame as stored values; pydicom interprets, libraries decompress."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import JPEGLSTransferSyntaxes

from operators.core import codecs
from operators.core.codestream import JPEG_2000, ImageSize, check_codestream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.pixel_format import PixelFormat
    from operators.core.reading import Instance
    from operators.core.stored_pixels import Bytes

SAYS_ITS_BITS = frozenset({*JPEG_2000, *JPEGLSTransferSyntaxes})
"""Codestreams that carry their precision, which may be more than Bits Stored."""


def decode(stored: Bytes, instance: Instance) -> NDArray[Any]:
    """The stored values of one gray frame.

    Args:
        stored: Its bytes, native or compressed.
        instance: Whose header says what they are.

    Returns:
        `(rows, columns)`, signed or unsigned as Pixel Representation (0028,0103) says; bits beyond Bits Stored, in
        which old devices kept overlays, are gone.

    Raises:
        ValueError: If bytes and header do not agree.
    """
    form = instance.pixel_format
    if not form.syntax.is_encapsulated and (form.syntax.is_little_endian or form.bits_allocated > 8):
        picture = _native(stored, form)
    elif form.high_bit != form.bits_stored - 1:
        raise ValueError(f"High Bit {form.high_bit} is not Bits Stored {form.bits_stored} - 1")
    else:
        picture = _decode(stored, form, colour=False)
    if form.bits_stored == form.bits_allocated:
        return picture
    # To the left until the highest bit is the sign, and back: the shift to the right extends it.
    above = form.bits_allocated - 1 - form.high_bit
    values = (picture << above) >> (form.bits_allocated - form.bits_stored)
    if form.syntax in SAYS_ITS_BITS:
        _require_nothing_beyond(picture, values, form.bits_stored)
    return values


def _require_nothing_beyond(picture: NDArray[Any], values: NDArray[Any], bits_stored: int) -> None:
    """Bits beyond Bits Stored in a codestream that has them are nothing or the sign: else the header lies.

    Raises:
        ValueError: If they are something else.
    """
    mask = picture.dtype.type((1 << bits_stored) - 1)
    if not ((picture == values) | (picture == (values & mask))).all():
        raise ValueError(f"the compressed image has values of more than {bits_stored} bits, its Bits Stored")


def _native(stored: Bytes, form: PixelFormat) -> NDArray[Any]:
    order, sign = "<" if form.syntax.is_little_endian else ">", "i" if form.signed else "u"
    picture = np.frombuffer(stored, dtype=f"{order}{sign}{form.bits_allocated // 8}").reshape(form.matrix)
    return picture.astype(picture.dtype.newbyteorder("="), copy=False)


def decode_colour(stored: Bytes, instance: Instance) -> NDArray[Any]:
    """The colours of one frame.

    Args:
        stored: Its bytes, native or compressed.
        instance: Whose header says what they are.

    Returns:
        `(rows, columns, 3)`, RGB, uint8.

    Raises:
        ValueError: If bytes and header do not agree, or it is no colour of 8 bits.
    """
    form = instance.pixel_format
    picture = _decode(stored, form, colour=True)
    if form.photometric == "PALETTE COLOR":
        picture = apply_color_lut(picture, instance.header)
        # Palettes of 16 bits fill them, whatever their entries were made from (PS3.3 C.7.6.3.1.6).
        picture = (picture >> (8 * picture.itemsize - 8)).astype(np.uint8)
    if picture.ndim != 3 or picture.dtype != np.uint8:
        raise ValueError("colour of other than 3 samples of 8 bits")
    return picture


def _decode(stored: Bytes, form: PixelFormat, *, colour: bool) -> NDArray[Any]:
    """By pydicom, from gray codestreams with our codecs alone: one that they refuse must not go on to the next."""
    encapsulated = form.syntax.is_encapsulated
    if encapsulated:
        expected = ImageSize(form.rows, form.columns, form.samples, form.bits_stored, form.signed)
        check_codestream(bytes(stored), form.syntax, expected, form.bits_allocated)
    what: Any = {
        "number_of_frames": 1,
        "rows": form.rows,
        "columns": form.columns,
        "samples_per_pixel": form.samples,
        "photometric_interpretation": form.photometric,
        "planar_configuration": form.planar,
        "bits_allocated": form.bits_allocated,
        "bits_stored": form.bits_stored,
        "pixel_representation": int(form.signed),
        "pixel_keyword": "PixelData",
    }
    array, _ = get_decoder(form.syntax).as_array(
        encapsulate([bytes(stored)]) if encapsulated else bytes(stored),
        raw=not colour,
        decoding_plugin=codecs.PLUGIN if encapsulated and form.samples == 1 else "",
        **what,
    )
    return np.asarray(array)
