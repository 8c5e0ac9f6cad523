"""Structure set regions: contours of an RT Structure Set as masks on the grid of their images (PS3.3 C.8.8.6).

A pixel belongs to a region where its centre lies inside of its contours: where a line from the centre to the border
crosses them an odd number of times. So the channels of keyholes cancel out, a contour inside of another one is a hole,
and no pixel counts in part. Of a centre on a contour the half-open rule decides: it is inside where the contour is on
its left or above it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.header import PARSE_ERRORS, attribute, read_text, read_value
from operators.core.segmented_regions import RegionBuilder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from operators.core.label_map import Segment
    from operators.core.reading import Instance
    from operators.core.segmented_regions import Grid, Region

CLOSED = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"})
"""Contour Geometric Types (3006,0042) that have an inside."""
OFF_ITS_SLICE = 0.1
"""How far a contour's points may lie from the slice that it is on, in parts of the distance between slices."""
LEAST_POINTS = 3
GAP_TEXT = "{count} slices between its first and its last contour have none; nothing was put there."
OPEN_TEXT = "{count} of its contours have no inside and were left out: {kinds}."


class Contour(NamedTuple):
    """One contour of an ROI.

    Attributes:
        kind: Contour Geometric Type (3006,0042).
        points: `(points, 3)`, mm in LPS; none where the kind has no inside.
    """

    kind: str
    points: NDArray[np.float64]


def regions_of_structure_set(instance: Instance, rois: Sequence[Segment], source: Grid) -> tuple[Region, ...]:
    """The regions of an RT Structure Set, one an ROI, in the order of its ROIs.

    Args:
        instance: The structure set.
        rois: What it says of its ROIs.
        source: The grid of the images that its contours lie on.

    Returns:
        The regions; an ROI without a contour has an empty one, one whose contours enclose nothing says why.

    Raises:
        InputRefused: If a contour cannot be read, or lies on none of the slices.
    """
    try:
        contours = {roi.number: list(_contours(instance.header, roi.number)) for roi in rois}
    except PARSE_ERRORS as error:
        raise InputRefused(_refusal(instance, f"its contours cannot be read ({type(error).__name__})")) from error
    return tuple(_region(instance, roi, contours[roi.number], source) for roi in rois)


def rasterised(rings: Iterable[NDArray[np.float64]], matrix: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside of rings, those inside of an even number of rings left out.

    Args:
        rings: `(points, 2)` each, row and column; the centre of the first pixel is (0, 0).
        matrix: Rows and columns.

    Returns:
        `(rows, columns)`.

    Examples:
        >>> square = np.array([[0.5, 0.5], [0.5, 2.5], [2.5, 2.5], [2.5, 0.5]])
        >>> rasterised([square], (3, 4)).astype(int).tolist()
        [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """
    crossings = np.zeros((matrix[0], matrix[1] + 1), dtype=np.int64)
    for ring in rings:
        _count_crossings(crossings, ring)
    return np.asarray(np.cumsum(crossings[:, :-1], axis=1) % 2 == 1)


def _count_crossings(crossings: NDArray[np.int64], ring: NDArray[np.float64]) -> None:
    """Count in each row, from the first column behind an edge of a ring on, that the edge was crossed."""
    following = np.roll(ring, -1, axis=0)
    # The same edge has to give the same columns in both directions, or a keyhole's channel would not cancel out.
    upward = (ring[:, 0] > following[:, 0])[:, None]
    low, high = np.where(upward, following, ring), np.where(upward, ring, following)
    first, end = (np.clip(np.ceil(ends[:, 0]), 0, len(crossings)).astype(np.int64) for ends in (low, high))
    counts = np.maximum(end - first, 0)
    edges = np.repeat(np.arange(len(ring)), counts)
    rows = first[edges] + np.arange(len(edges)) - np.repeat(np.cumsum(counts) - counts, counts)
    slopes = (high[edges, 1] - low[edges, 1]) / (high[edges, 0] - low[edges, 0])
    columns = np.ceil(low[edges, 1] + (rows - low[edges, 0]) * slopes)
    np.add.at(crossings, (rows, np.clip(columns, 0, crossings.shape[1] - 1).astype(np.int64)), 1)


def _contours(header: Dataset, number: int) -> Iterator[Contour]:
    """The contours of an ROI; of those without an inside the places are not read."""
    for item in header.get("ROIContourSequence") or []:
        if int(read_value(item, "ReferencedROINumber") or 0) != number:
            continue
        for contour in item.get("ContourSequence") or []:
            kind = read_text(contour, "ContourGeometricType")
            yield Contour(kind, _numbers(contour).reshape(-1, 3) if kind in CLOSED else np.zeros((0, 3)))


def _numbers(contour: Dataset) -> NDArray[np.float64]:
    """Contour Data (3006,0050), from its bytes: a structure set has millions of numbers."""
    element = contour.get_item(Tag("ContourData"))
    if isinstance(element, RawDataElement):
        return np.array((element.value or b"").split(b"\\"), dtype=np.float64)
    return np.array(contour.ContourData, dtype=np.float64)


def _region(instance: Instance, roi: Segment, contours: Sequence[Contour], source: Grid) -> Region:
    by_slice: dict[int, list[NDArray[np.float64]]] = defaultdict(list)
    to_index = np.linalg.inv(source.affine_lps)
    for points in _each_once(contours):
        if len(points) < LEAST_POINTS:
            continue
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        by_slice[_slice_of(instance, roi, index, source.shape[0])].append(index[:, 1:])
    builder = RegionBuilder()
    for number, rings in by_slice.items():
        builder.add(number, rasterised(rings, source.shape[1:]))
    region = builder.region(roi, source, " ".join(_remarks(contours, by_slice)))
    return replace(region, unmeasured=_why_empty(contours)) if contours and not region.voxels else region


def _each_once(contours: Iterable[Contour]) -> Iterator[NDArray[np.float64]]:
    """The points of closed contours; of a CLOSED_PLANAR that stands there twice, once.

    Only CLOSEDPLANAR_XOR says that contours take away what others have (PS3.3 C.8.8.6.3).
    """
    seen: set[bytes] = set()
    for kind, points in contours:
        place = points.tobytes()
        if kind == "CLOSED_PLANAR" and place in seen:
            continue
        seen.add(place)
        yield points


def _remarks(contours: Iterable[Contour], slices: Collection[int]) -> Iterator[str]:
    """What a reader has to know of how contours became a mask."""
    gaps = max(slices) - min(slices) + 1 - len(slices) if slices else 0
    if gaps:
        yield GAP_TEXT.format(count=gaps)
    if others := [contour.kind for contour in contours if contour.kind not in CLOSED]:
        yield OPEN_TEXT.format(count=len(others), kinds=_listed(others))


def _why_empty(contours: Sequence[Contour]) -> str:
    """Why an ROI that has contours has no voxel: nobody may read it as absent."""
    if any(contour.kind in CLOSED for contour in contours):
        return "its contours enclose no centre of a pixel of the images"
    return f"none of its contours has an inside: {_listed(contour.kind for contour in contours)}"


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted({kind or "no Contour Geometric Type" for kind in kinds}))


def _slice_of(instance: Instance, roi: Segment, index: NDArray[np.float64], slices: int) -> int:
    """The slice that a contour lies on.

    Raises:
        InputRefused: If it lies on none.
    """
    nearest = int(np.round(index[:, 0].mean())) if np.isfinite(index).all() else -1
    off = float(np.abs(index[:, 0] - nearest).max())
    if not 0 <= nearest < slices or not off <= OFF_ITS_SLICE:
        raise InputRefused(
            _refusal(
                instance,
                f"a contour of ROI {roi.number} lies on no slice of the images: {attribute('ContourData')} reaches "
                f"from slice {index[:, 0].min() + 1:.2f} to {index[:, 0].max() + 1:.2f} of {slices}; contours have to "
                "lie in the planes of the images that they were drawn on",
            )
        )
    return nearest


def _refusal(instance: Instance, why: str) -> list[Finding]:
    message = f"RT Structure Set {instance.uid}: {why}"
    return [Finding(FindingCode.UNFIT_SEGMENTATION, message, instances=(instance.uid,))]
