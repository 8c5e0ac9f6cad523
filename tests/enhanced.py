"""Enhanced: volumes whose slices are frames of one multi-frame image, read as the loader reads them."""

from pathlib import Path

import numpy as np
from pydicom.uid import EnhancedCTImageStorage

from operators.core.pixels import read_volume
from operators.core.volume import Volume
from operators.load.load_series import load_series
from tests.builders import make_affine, make_multiframe

PLACES = (3, 0, 5, 1, 4, 2)
"""Slice of each frame: frames are stored in no order."""


def make_enhanced_volume(folder: Path, *, sop_class=EnhancedCTImageStorage, edit=None) -> Volume:
    """Six slices of 6 x 5 pixels in one image; the frame behind slice i has the number PLACES.index(i) + 1."""
    stored = np.arange(len(PLACES) * 30, dtype=np.int16).reshape(len(PLACES), 6, 5)
    make_multiframe(
        folder / "enhanced" / "mf.dcm",
        stored[list(PLACES)],
        make_affine(),
        places=PLACES,
        sop_class=sop_class,
        edit=edit,
    )
    (series,) = load_series(folder / "enhanced").series
    (geometry,) = series.volumes
    return read_volume(geometry)


def frame_of(index: int) -> int:
    """Frame Number of a slice."""
    return PLACES.index(index) + 1
