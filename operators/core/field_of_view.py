"""Field of view: which pixels of a slice were not reconstructed, though the image has them.

Scanners reconstruct a circle and fill the corners of the matrix. GE writes its value as Pixel Padding Value
(0028,0120), others write the lowest value there is and do not say so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from operators.core.volume import Volume

WITHIN_PX = (3, 2, 1, 0)
"""By so many pixels the circle may be smaller than what fits into the matrix."""
REACH_PX = 2
"""So near to its end a mask that the field of view cuts comes: edges of masks are smoothed."""


_known: WeakKeyDictionary[Volume, dict[int, NDArray[np.bool_] | None]] = WeakKeyDictionary()
"""Each segment of a run is held against the same volume, which nobody can change."""


def unseen(volume: Volume, index: int) -> NDArray[np.bool_] | None:
    """`(rows, columns)` of a slice, true where nothing was reconstructed; None where all was.

    That is padding, and what lies outside of the circle that fits into the matrix where all of it has the slice's
    lowest value.
    """
    known = _known.setdefault(volume, {})
    if index not in known:
        circle = _filled(volume.array[index], volume.spacing_mm[1:])
        padding = None if volume.padding is None or not volume.padding[index].any() else volume.padding[index]
        found = [mask for mask in (circle, padding) if mask is not None]
        known[index] = np.logical_or.reduce(found) if len(found) > 1 else next(iter(found), None)
    return known[index]


def contact_mm(
    inside: NDArray[np.bool_], outside: NDArray[np.bool_], spacing_mm: tuple[float, float], reach_px: int = REACH_PX
) -> float:
    """Length in mm over which a mask faces unseen pixels, along rows or columns, whichever is longer.

    Args:
        inside: `(rows, columns)`, the mask.
        outside: `(rows, columns)`, unseen pixels.
        spacing_mm: Distance between rows and between columns.
        reach_px: How far apart both may be.

    Examples:
        >>> inside, outside = np.eye(3, dtype=bool)[[1, 1, 0]], np.eye(3, dtype=bool)[[2, 2, 2]]
        >>> contact_mm(inside, outside, (0.5, 2.0), reach_px=1)
        1.0
    """
    by_row, by_column = np.zeros((2, len(inside)), dtype=bool), np.zeros((2, inside.shape[1]), dtype=bool)
    for step in range(1, reach_px + 1):
        by_row[0] |= (inside[:, :-step] & outside[:, step:]).any(axis=1)
        by_row[1] |= (inside[:, step:] & outside[:, :-step]).any(axis=1)
        by_column[0] |= (inside[:-step] & outside[step:]).any(axis=0)
        by_column[1] |= (inside[step:] & outside[:-step]).any(axis=0)
    row_mm, column_mm = spacing_mm
    return float(max(by_row.sum(axis=1).max() * row_mm, by_column.sum(axis=1).max() * column_mm))


def _filled(values: NDArray[Any], spacing_mm: tuple[float, float]) -> NDArray[np.bool_] | None:
    """What lies outside of the reconstructed circle; None where the slice is no such circle."""
    lowest = values.min()
    if lowest == values.max():
        return None
    for within_px in WITHIN_PX:
        outside = _outside_circle(values.shape, spacing_mm, within_px)
        if (values.reshape(-1)[outside.pixels] == lowest).all():
            return outside.mask
    return None


class _Corners(NamedTuple):
    """What lies outside of a circle.

    Attributes:
        mask: `(rows, columns)`, true there.
        pixels: The same as indices of the flat array.
    """

    mask: NDArray[np.bool_]
    pixels: NDArray[np.int64]


@lru_cache(maxsize=2 * len(WITHIN_PX))
def _outside_circle(shape: tuple[int, ...], spacing_mm: tuple[float, float], within_px: int) -> _Corners:
    """Pixels of which no part lies in the circle that fits into a matrix, made smaller by some pixels."""
    rows_mm, columns_mm = (
        (np.arange(count) - (count - 1) / 2) * mm for count, mm in zip(shape, spacing_mm, strict=True)
    )
    radius_mm = min(count * mm for count, mm in zip(shape, spacing_mm, strict=True)) / 2
    outside = np.hypot(rows_mm[:, None], columns_mm) > radius_mm + (0.5 - within_px) * max(spacing_mm)
    outside.flags.writeable = False
    return _Corners(outside, np.flatnonzero(outside))
