"""Series for the load benchmark: a body with the noise of a scanner, raw and JPEG 2000 lossless."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless
from scipy import ndimage

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED = 20250102
NOISE_BODY_HU = 22.0
"""Standard deviation in soft tissue: thin slices, standard dose."""
NOISE_AIR_HU = 9.0
"""Less reaches the reconstruction outside the body."""
NOISE_CORRELATION_PIXELS = 0.7
"""Standard deviation of the Gaussian that the noise is smoothed with: that of a standard kernel."""
LOWEST_HU, HIGHEST_HU = -1024, 3071
PHANTOM_SLICES = 300


def make_raw(folder: Path, slices: int) -> Path:
    """A CT series of 512 x 512, one file a slice, Explicit VR Little Endian.

    Args:
        folder: Where it goes; made.
        slices: A multiple of the phantom's slices, which then stand nearer to each other, each with noise of its own;
            or fewer, the first ones.

    Returns:
        The folder.
    """
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=PHANTOM_SLICES, spacing_mm=(1.0, 0.75, 0.75)))
    times = max(1, slices // PHANTOM_SLICES)
    affine = phantom.affine_lps.copy()
    affine[:3, 0] /= times
    noisy = np.empty((slices, *phantom.hu.shape[1:]), dtype=np.int16)
    with ProcessPoolExecutor(_cores()) as pool:
        planes = (phantom.hu[index // times] for index in range(slices))
        for index, plane in enumerate(pool.map(_with_noise, planes, range(slices), chunksize=8)):
            noisy[index] = plane
    write_ct_series(noisy, affine, folder, description=f"load {slices}", uid_seed=f"load {slices}")
    return folder


def make_jpeg_2000(raw: Path, folder: Path) -> Path:
    """The same series in JPEG 2000 Lossless (PS3.5 A.4.4)."""
    folder.mkdir(parents=True)
    with ProcessPoolExecutor(_cores()) as pool:
        list(pool.map(_compress, sorted(raw.iterdir()), repeat(folder), chunksize=8))
    return folder


def bits_a_pixel(folder: Path, pixels: int) -> float:
    """Bits of the files for each pixel of the series, headers included."""
    return 8 * sum(path.stat().st_size for path in folder.iterdir()) / pixels


def _with_noise(hu: NDArray[Any], index: int) -> NDArray[np.int16]:
    """Add noise to a slice `(rows, columns)`; the same for the same index."""
    white = np.random.default_rng((SEED, index)).standard_normal(hu.shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(white, NOISE_CORRELATION_PIXELS, mode="wrap")
    sd = ndimage.gaussian_filter(np.where(hu > -500, NOISE_BODY_HU, NOISE_AIR_HU).astype(np.float32), 20)
    noisy = np.rint(hu + noise * (sd / noise.std()))
    return np.clip(noisy, LOWEST_HU, HIGHEST_HU).astype(np.int16)


def _compress(path: Path, folder: Path) -> None:
    dataset = dcmread(path)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(folder / path.name, enforce_file_format=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
