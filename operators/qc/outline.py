"""Outline: the body and the air around it on a few coarse slices, fast enough to be found in every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from operators.core.orientation import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.orientation import Orientation
    from operators.core.volume import Spacing, Volume

PIXEL_MM = 3.5
"""Pixels of the coarse slices: walls, organs and vertebrae are several of them wide."""
MOST_SLICES = 32
"""A trunk of 35 cm is looked at every 11 mm: less than half the height of a vertebra."""
TISSUE_HU = -500.0
"""Halfway between air and water, where a voxel at the skin is half filled."""
PEER_SHARE = 0.5
"""Of the largest piece: the other leg has more, an arm beside a trunk and a table have less."""
FAR_MM = 1e4
"""Between slices, so that distances stay in their slice."""
IN_SLICE = np.array([[[0, 1, 0], [1, 1, 1], [0, 1, 0]]], dtype=bool)


@dataclass(frozen=True, eq=False)
class Outline:
    """Coarse slices with what is in them.

    Attributes:
        hu: `(slices, rows, columns)` towards head, back, left: samples of the volume, not averages.
        body: The same shape, true in the trunk or in both legs, with what they enclose.
        outside: True in the air that reaches the border of the image.
        spacing_mm: Distance between the samples.
        indices: Slices of the volume turned to head, back, left that were taken.
        steps: Rows and columns between two samples.
        turn: How the volume is turned.
    """

    hu: NDArray[np.float32]
    body: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    spacing_mm: Spacing
    indices: NDArray[np.intp]
    steps: tuple[int, int]
    turn: Orientation

    @property
    def depth_mm(self) -> NDArray[np.float32]:
        """Distance in the slice from each sample of the body to the nearest one outside of it, mm."""
        sampling = (FAR_MM, *self.spacing_mm[1:])
        return np.asarray(ndimage.distance_transform_edt(self.body, sampling=sampling), dtype=np.float32)


def find_outline(volume: Volume) -> Outline:
    """Sample an axial CT and find body and air in it.

    Args:
        volume: HU; padding counts as neither body nor air.

    Returns:
        The outline; its body is empty where there is no tissue.
    """
    turn = canonical(volume.affine_lps)
    turned, spacing_mm = turn.apply(volume.array), turn.apply_spacing(volume.spacing_mm)
    step = -(-turned.shape[0] // MOST_SLICES)
    indices = np.arange(step // 2, turned.shape[0], step)
    steps = max(1, round(PIXEL_MM / spacing_mm[1])), max(1, round(PIXEL_MM / spacing_mm[2]))
    hu = turned[indices, :: steps[0], :: steps[1]].astype(np.float32)
    missing = np.zeros(hu.shape, dtype=bool)
    if volume.padding is not None:
        missing = turn.apply(volume.padding)[indices, :: steps[0], :: steps[1]]
    # What surrounds the samples counts as air, so that air that reaches the border is one piece with it.
    empty = np.pad((hu <= TISSUE_HU) | missing, ((0, 0), (1, 1), (1, 1)), constant_values=True)
    around = _reached_from_border(empty)[:, 1:-1, 1:-1]
    coarse_mm = (spacing_mm[0] * step, spacing_mm[1] * steps[0], spacing_mm[2] * steps[1])
    return Outline(hu, _body(~around, hu), around & ~missing, coarse_mm, indices, steps, turn)


def _reached_from_border(empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a padded mask that hangs together with the border of its slice."""
    structure = np.concatenate([np.zeros_like(IN_SLICE), IN_SLICE, np.zeros_like(IN_SLICE)])
    labels, _ = ndimage.label(empty, structure)
    return np.asarray(np.isin(labels, labels[:, 0, 0]), dtype=np.bool_)


def _body(filled: NDArray[np.bool_], hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The piece with most tissue, and pieces that have nearly as much: two legs lie apart.

    An opening by a sample takes the table off, whose shell is thinner; the foam in a shell that closes is no tissue.
    """
    opened = ndimage.binary_opening(filled, IN_SLICE)
    labels, count = ndimage.label(opened)
    tissue = np.bincount(labels[hu > TISSUE_HU], minlength=count + 1)
    tissue[0] = 0
    body = tissue >= max(1.0, PEER_SHARE * tissue.max())
    return np.asarray(body[labels], dtype=np.bool_)
