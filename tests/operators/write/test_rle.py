"""RLE: what pydicom's decoder reads is the frame, and what its encoder writes is the same (PS3.5 Annex G)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import get_decoder, get_encoder
from pydicom.uid import RLELossless

from operators.write.rle import encode_rle

OPTIONS = {
    "samples_per_pixel": 1,
    "number_of_frames": 1,
    "bits_allocated": 8,
    "bits_stored": 8,
    "photometric_interpretation": "MONOCHROME2",
    "pixel_representation": 0,
}


def options(frame):
    return {**OPTIONS, "rows": frame.shape[0], "columns": frame.shape[1]}


@st.composite
def frames(draw):
    """Frames of runs: pixels that repeat up to some 300 times, mixed with single ones, cut to rows of any width."""
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 400))
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    repeats = random.choice([1, 1, 1, 2, 3, 127, 128, 129, 130, 256, 257], rows * columns)
    pixels = np.repeat(random.integers(0, draw(st.integers(1, 255)) + 1, rows * columns), repeats)
    return pixels[: rows * columns].astype(np.uint8).reshape(rows, columns)


@settings(max_examples=200, deadline=None)
@given(frames())
def test_bytes_are_those_of_pydicom(frame):
    expected = get_encoder(RLELossless).encode(frame, encoding_plugin="pydicom", **options(frame))

    assert encode_rle(frame) == expected + b"\0" * (len(expected) % 2)


@settings(max_examples=50, deadline=None)
@given(frames())
def test_decoder_gives_the_frame_back(frame):
    decoded = next(
        get_decoder(RLELossless).iter_array(
            encapsulated(encode_rle(frame)), decoding_plugin="pydicom", raw=True, **options(frame)
        )
    )[0]

    assert np.array_equal(decoded, frame)


def encapsulated(frame: bytes) -> bytes:
    """An empty Basic Offset Table and one fragment (PS3.5 A.4)."""
    tag = b"\xfe\xff\x00\xe0"
    return tag + bytes(4) + tag + len(frame).to_bytes(4, "little") + frame


@pytest.mark.parametrize(
    ("row", "encoded"),
    [
        # The standard's rule, by hand (PS3.5 G.3.1): 257 - n and the value that repeats, or n - 1 and n values.
        ([5, 5, 5], [254, 5]),
        ([1, 2, 3], [2, 1, 2, 3]),
        ([7, 7, 9, 8], [255, 7, 1, 9, 8]),
        ([0] * 130, [129, 0, 255, 0]),
        ([0] * 129, [129, 0, 0, 0]),
    ],
)
def test_runs_are_those_of_the_standard(row, encoded):
    frame = np.array([row], np.uint8)

    assert list(encode_rle(frame)[64 : 64 + len(encoded)]) == encoded


def test_header_names_one_segment_behind_itself():
    header = np.frombuffer(encode_rle(np.zeros((2, 3), np.uint8))[:64], "<u4")

    assert list(header) == [1, 64, *[0] * 14]
