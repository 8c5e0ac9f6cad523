"""Phantoms that small networks learn from and are asked about, at low resolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom
from operators.core.volume import Volume

LABELS = {"Other": 1, "Bone": 2, "SAT": 3, "VAT": 4, "Skeletal muscle": 5}
"""As a model's authors may call them, by the values of the phantom's truth."""
NAMES = {"Other": "body", "SAT": "subcutaneous_fat", "VAT": "visceral_fat"}
"""What the catalogue calls those that it does not have under these names."""
SPACING_MM = (8.0, 12.0, 12.0)


def make_phantom(seed: int, *, slices: int = 12, spacing_mm=SPACING_MM) -> Phantom:
    """A trunk somewhere between waist and ribs, with noise, without a table; fat between muscles counts as muscle."""
    height_mm = float(np.random.default_rng(seed).uniform(-40, 40))
    phantom = build_trunk_phantom(
        TrunkPhantomParameters(
            slices=slices, spacing_mm=spacing_mm, centre_z_mm=height_mm, noise_hu=20.0, seed=seed, table=False
        )
    )
    truth = phantom.truth_labels.copy()
    truth[truth == PhantomTissue.INTERMUSCULAR_FAT] = PhantomTissue.SKELETAL_MUSCLE
    return replace(phantom, truth_labels=truth)


def volume_of(phantom: Phantom, order=(0, 1, 2), flips=()) -> Volume:
    """The phantom as it may be stored: axes in some order, some of them backwards."""
    affine = phantom.affine_lps[:, [*order, 3]].copy()
    array = np.flip(phantom.hu.transpose(order), flips)
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(array), affine, "1.2", ())
