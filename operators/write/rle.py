"""RLE: frames of one byte a pixel as RLE Lossless (PS3.5 Annex G), runs found for the whole frame at once."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_RUN = 128
"""Pixels in one run, replicate or literal (PS3.5 G.3.1)."""
HEADER = struct.pack("<16L", 1, 64, *[0] * 14)
"""One RLE segment, which begins behind the 64 bytes of the header (PS3.5 G.5)."""


def encode_rle(frame: NDArray[np.uint8]) -> bytes:
    """Encode one frame as pydicom does: pixels that repeat become a replicate run, all others literal runs.

    Args:
        frame: `(rows, columns)`; no run goes beyond its row (PS3.5 G.3).

    Returns:
        The encoded frame, of even length.
    """
    starts = _run_starts(frame)
    lengths = np.diff(starts, append=frame.size)
    pieces = -(-lengths // LONGEST_RUN)
    single = np.repeat(lengths == 1, pieces)
    row_begins = np.repeat(starts % frame.shape[1] == 0, pieces)
    piece_lengths = np.full(single.size, LONGEST_RUN)
    piece_lengths[np.cumsum(pieces) - 1] = lengths - LONGEST_RUN * (pieces - 1)
    values = np.repeat(frame.reshape(-1)[starts], pieces)
    encoded = _with_counts(values, piece_lengths, single, _opens_run(single, row_begins))
    return HEADER + encoded + b"\0" * (len(encoded) % 2)


def _run_starts(frame: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Indices in the flat frame at which a row begins or the value changes."""
    flat = frame.reshape(-1)
    begins = np.empty(flat.size, dtype=bool)
    np.not_equal(flat[1:], flat[:-1], out=begins[1:])
    begins[:: frame.shape[1]] = True
    return np.flatnonzero(begins)


def _opens_run(single: NDArray[np.bool_], row_begins: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pieces have a count in front of them: each replicate run, and the first of up to 128 single pixels."""
    places = np.arange(single.size)
    opens = ~single | row_begins
    opens[1:] |= ~single[:-1]
    literal_starts = np.maximum.accumulate(np.where(opens, places, 0))
    opens |= (places - literal_starts) % LONGEST_RUN == 0
    return opens


def _with_counts(
    values: NDArray[np.uint8], lengths: NDArray[np.int_], single: NDArray[np.bool_], opens: NDArray[np.bool_]
) -> bytes:
    """Values with their count bytes (PS3.5 G.3.2): n - 1 before n literal ones, 257 - n before one that repeats."""
    opening = np.flatnonzero(opens)
    literal_lengths = np.diff(opening, append=values.size)
    # A single pixel that is left over of a replicate run is a literal run of its own: 257 - 1 is 0 in a byte.
    counts = np.where(single[opening], literal_lengths - 1, (257 - lengths[opening]) % 256)
    places = np.arange(values.size) + np.cumsum(opens)
    encoded = np.empty(values.size + opening.size, dtype=np.uint8)
    encoded[places] = values
    encoded[places[opening] - 1] = counts
    return encoded.tobytes()
