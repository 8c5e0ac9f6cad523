"""Degradations: what the tables of degraded phantoms do to a phantom of legs or of a trunk, by name."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mapnode.phantom.degrade import Implant, add_metal, add_noise, blur, thicken, tilt_gantry

HU = NDArray[np.int16]
Affine = NDArray[np.float64]
Degrade = Callable[[HU, Affine], tuple[HU, Affine]]
"""From an image and its affine to another image and the affine that its header states."""


def degradations(spacing_mm: tuple[float, float, float], seed: int, implant: Implant, place: str) -> dict[str, Degrade]:
    """Noise, blur, thick slices, metal and an unmarked tilt.

    Args:
        spacing_mm: Distance between slices, rows, columns.
        seed: Of the noise.
        implant: The metal.
        place: What it is and where, for the name.

    Returns:
        Functions by name; the first changes nothing.
    """

    def once(change: Callable[[HU], HU]) -> Degrade:
        return lambda hu, affine: (change(hu), affine)

    def tilted(degrees: float) -> Degrade:
        # Unmarked: the header, and so the affine, knows nothing of the tilt.
        return lambda hu, affine: (tilt_gantry(hu, affine, degrees)[0], affine)

    return {
        "none": once(lambda hu: hu),
        **{f"noise of {sd} HU": once(functools.partial(add_noise, sd_hu=sd, seed=seed)) for sd in (10, 20, 40)},
        "blur of 1.5 mm FWHM": once(lambda hu: blur(hu, spacing_mm, 1.5)),
        "blur of 3 mm FWHM": once(lambda hu: blur(hu, spacing_mm, 3.0)),
        "blur of 3 mm FWHM, noise of 20 HU": once(lambda hu: add_noise(blur(hu, spacing_mm, 3.0), 20.0, seed)),
        "slices of 10 mm, each the mean of two": lambda hu, affine: thicken(hu, affine, 2),
        place: lambda hu, affine: (add_metal(hu, affine, implant, streaks=False), affine),
        f"{place}, with streaks": lambda hu, affine: (add_metal(hu, affine, implant), affine),
        "gantry tilt of 5 degrees, unmarked": tilted(5.0),
        "gantry tilt of 15 degrees, unmarked": tilted(15.0),
    }
