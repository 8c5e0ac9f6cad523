"""Segment quantities: what a segment of a label map looks like, on samples of its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image

from operators.core.orientation import canonical

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap, Segment
    from operators.core.volume import Spacing

PIXEL_MM = 2.0
"""Samples in the slice: the smallest structure that is judged, a vertebral body, is ten of them wide."""
MOST_SLICES = 24
CRUMB_SHARE = 0.02
"""Pieces that are smaller than this share of their segment are crumbs of noise, not parts that lie apart."""
MIDLINE_MM = 40.0
"""A spine lies within so much of the body's middle."""
SHOWN_SLICES = 0.75
"""Of slices with a vertebra at least a quarter cut a vertebral body at its full size, the others discs or its ends."""
SHAFT_SLICES = 0.1
"""Of the slices with a long bone at least a tenth show its shaft, unless the scan shows a joint alone."""
LARGEST_MM = 40.0
"""Discs are told apart up to this radius."""
ENCLOSED_SHARE = 0.9
"""What touches the fascia has a rim beyond the fat inside it."""
SPINE_MM = 10.0
"""A vertebral body is at least 35 mm wide and lies within 10 mm of the middle unless the spine is bent."""
FAR_MM = 1e4


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples of a label map towards head, back, left.

    Attributes:
        labels: `(slices, rows, columns)`.
        spacing_mm: Distance between the samples.
        middle: Column of the body's middle in each slice, half of its first and last one; the body is every label.
    """

    labels: NDArray[np.uint8]
    spacing_mm: Spacing
    middle: NDArray[np.float64]


def sample(label_map: LabelMap) -> Samples:
    """Take samples of a label map."""
    turn = canonical(label_map.affine_lps)
    spacing_mm = turn.apply_spacing(_spacing_mm(label_map.affine_lps))
    turned = turn.apply(label_map.array)
    step = -(-turned.shape[0] // MOST_SLICES)
    rows, columns = (max(1, round(PIXEL_MM / mm)) for mm in spacing_mm[1:])
    labels = np.ascontiguousarray(turned[step // 2 :: step, ::rows, ::columns])
    occupied = np.asarray(labels.any(axis=1))
    first = occupied.argmax(axis=1)
    last = occupied.shape[1] - 1 - occupied[:, ::-1].argmax(axis=1)
    own_mm = (spacing_mm[0] * step, spacing_mm[1] * rows, spacing_mm[2] * columns)
    return Samples(labels, own_mm, (first + last) / 2)


def components(samples: Samples, segment: Segment) -> float | None:
    """Number of pieces, face to face in three dimensions, without crumbs; None of an empty segment."""
    labels, _ = ndimage.label(segment.mask_of(samples.labels))
    sizes = np.bincount(labels.ravel())[1:]
    return float((sizes > CRUMB_SHARE * sizes.sum()).sum()) if sizes.size else None


def right_left(samples: Samples, segment: Segment) -> float | None:
    """Volume right of the body's middle over that left of it; None where there is nothing on the left."""
    places = np.argwhere(segment.mask_of(samples.labels))
    side = places[:, 2] - samples.middle[places[:, 0]]
    left = int((side > 0).sum())
    return float((side < 0).sum()) / left if left else None


def inscribed_mm(samples: Samples, segment: Segment) -> float | None:
    """Radius in mm of the largest disc in the segment near the body's middle; of the bone, that of a vertebral body.

    The 75th percentile over the slices that have the segment there: at its full size. None of an empty segment.
    """
    away_mm = np.abs(np.arange(samples.labels.shape[2]) - np.median(samples.middle)) * samples.spacing_mm[2]
    near = away_mm < MIDLINE_MM + LARGEST_MM
    mask = segment.mask_of(samples.labels[:, :, near])
    if not mask.any() or mask.all():
        return None
    shown = _largest_discs_mm(mask, samples.spacing_mm, away_mm[near] < MIDLINE_MM)
    return float(np.quantile(shown, SHOWN_SLICES)) if shown.size else None


def narrowest_mm(samples: Samples, segment: Segment) -> float | None:
    """Radius in mm of the largest disc in the segment where that is smallest; of a leg's bone, that of the shaft.

    The 10th percentile over the slices that have the segment. None of an empty segment.
    """
    mask = segment.mask_of(samples.labels)
    if not mask.any() or mask.all():
        return None
    return float(np.quantile(_largest_discs_mm(mask, samples.spacing_mm), SHAFT_SLICES))


def enclosed_share(samples: Samples, segment: Segment, around: Segment) -> float | None:
    """Share of a segment in pieces that lie within another one; of bone within visceral fat, what is no bone.

    Within is a piece of which ENCLOSED_SHARE lies in the convex hulls that the other segment has in the slices. What
    meets the body's middle behind its half depth does not count: a slice may show a vertebral body alone.

    Args:
        samples: The label map.
        segment: What is looked at.
        around: What encloses it.

    Returns:
        The share; None of an empty segment.
    """
    mask = segment.mask_of(samples.labels)
    pieces, count = ndimage.label(mask)
    if count == 0:
        return None
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    within = np.bincount(pieces[_hulls(around.mask_of(samples.labels))], minlength=count + 1)
    enclosed = within > ENCLOSED_SHARE * sizes
    enclosed[np.unique(pieces[_near_spine(samples)])] = False
    enclosed[0] = False
    return float(sizes[enclosed].sum() / sizes[1:].sum())


def _hulls(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The convex hull in each slice."""
    return np.stack([convex_hull_image(plane) if plane.any() else plane for plane in mask])


def _near_spine(samples: Samples) -> NDArray[np.bool_]:
    """The body's middle, from its half depth to its back."""
    body = samples.labels > 0
    depth = np.cumsum(body.any(axis=2), axis=1)
    behind = depth > depth[:, -1:] / 2
    columns = np.arange(body.shape[2])
    middle = np.abs(columns - samples.middle[:, None]) * samples.spacing_mm[2] < SPINE_MM
    return np.asarray(behind[:, :, None] & middle[:, None, :])


def outline_aspect(samples: Samples, segment: Segment) -> float | None:
    """Width over depth of what the segment spans in the slice, as the median over its slices; None of an empty one."""
    mask = segment.mask_of(samples.labels)
    spans = [[np.ptp(np.flatnonzero(plane.any(axis=axis))) + 1 for axis in (0, 1)] for plane in mask if plane.any()]
    if not spans:
        return None
    width, depth = np.transpose(spans)
    return float(np.median(width / depth)) * samples.spacing_mm[2] / samples.spacing_mm[1]


def _largest_discs_mm(
    mask: NDArray[np.bool_], spacing_mm: Spacing, columns: NDArray[np.bool_] | slice = slice(None)
) -> NDArray[np.float64]:
    """Radius of the largest disc whose centre lies in some columns, of each slice that has one."""
    radius = ndimage.distance_transform_edt(mask, sampling=(FAR_MM, *spacing_mm[1:]))
    largest = radius[:, :, columns].max(axis=(1, 2))
    return np.asarray(largest[largest > 0])


def border_slices(label_map: LabelMap, segment: Segment) -> float:
    """Number of slices in which the segment meets the border of the image."""
    edges = (label_map.array[:, 0], label_map.array[:, -1], label_map.array[:, :, 0], label_map.array[:, :, -1])
    return float(np.any([segment.mask_of(edge).any(axis=1) for edge in edges], axis=0).sum())


def _spacing_mm(affine_lps: NDArray[np.float64]) -> Spacing:
    slices, rows, columns = np.linalg.norm(affine_lps[:3, :3], axis=0)
    return float(slices), float(rows), float(columns)
