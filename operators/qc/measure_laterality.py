"""MeasureLaterality: on which side of the body's middle each segment lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from operators.core import codes
from operators.core.header import read_text
from operators.core.measurements import DerivedValue, Quantity, rounded
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.measure.intensities import grid_of, scale_of
from operators.qc.outline import find_outline
from operators.runtime.step import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment
    from operators.core.segmented_regions import Box, Region

UNSURE_MM = 15.0
"""So far the middle of the outline may lie beside the spine: in a patient who lies turned by 10 degrees it does."""
WIDTH_MM = 250.0
"""Trunks of adults and two legs together are wider, one thigh, a head or a neck is not: its middle is not the body's
or not known well."""
SHARE = 0.9
"""Of a segment of one side more lies on it: lungs cross the middle in front of the heart by a few percent."""
AROUND_MM = 25.0
"""Above and below a segment: a vertebra with its disc, so that there is bone also for a segment of one slice."""
BONE_HU = 200.0
"""Cortex in samples of whole slices; soft tissue and marrow are darker."""


@dataclass(frozen=True, eq=False)
class _BodySlice:
    """What one slice shows of the body.

    Attributes:
        index: Index of the slice in the volume.
        right_mm: LPS x of the body's right end.
        left_mm: LPS x of its left end.
        cut: The body reaches the right or left border of the image.
        bone_mm: LPS x of each sample of bone.
    """

    index: int
    right_mm: float
    left_mm: float
    cut: bool
    bone_mm: NDArray[np.float64]


class _Place(NamedTuple):
    """How far left of the middle a segment lies, its side, or why that is not known."""

    left_mm: float = 0.0
    side: Code | None = None
    reason: str = ""


class MeasureLaterality(Step):
    """Say on which side of the body each segment lies, by where its voxels are and not by what it is called.

    left_of_middle_mm = mean LPS x of its voxels - LPS x half way between the right and the left end of the body's
    outline, median over its slices and 25 mm around them where the image shows both ends. Its side is left, or right,
    where that is at least 15 mm and 90 % of the voxels agree. In axial CT in HU only; not computed where the outline is
    narrower than a trunk, is cut off by the image, or has its middle more than 15 mm beside the median of the bones.

    Named Input:
        volume: Volume.
        label_map: SegmentedRegions.

    Named Output:
        derived: tuple of DerivedValue, one a segment; `side` is the computed one, the label says the stated one, too.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "derived"

    def process(self, volume: Volume, label_map: SegmentedRegions) -> tuple[DerivedValue, ...]:
        """Measure."""
        return measure_laterality(volume, label_map)


def measure_laterality(volume: Volume, regions: SegmentedRegions) -> tuple[DerivedValue, ...]:
    """How far left of the body's middle each region lies, and the side that it is of."""
    unfit = _unfit(volume)
    body = [] if unfit else _body_slices(volume)
    return tuple(_derived(region.segment, _place_of(region, volume, body, unfit)) for region in regions.regions)


def _derived(segment: Segment, place: _Place) -> DerivedValue:
    stated = f"stated as {segment.modifier.meaning.lower()}" if segment.modifier else "no side stated"
    words = "not computed" if place.reason else "in the middle or on both sides" if place.side is None else ""
    computed = words or f"{place.side.meaning.lower() if place.side else ''} of the body's middle"
    return DerivedValue(
        Quantity(f"{segment.name}_left_of_middle_mm", "mm", codes.DISTANCE, codes.MILLIMETRE),
        label=f"{segment.label}, side of the body: {computed} ({stated})",
        definition="mean of LPS x of its voxels - LPS x of the middle of the body's outline; above 0 it lies left",
        segment_names=(segment.name,),
        value=None if place.reason else rounded(place.left_mm),
        reason=place.reason,
        side=place.side,
    )


def _unfit(volume: Volume) -> str:
    """Why no side is computed in such images; empty where they are axial CT in HU."""
    if read_text(volume.slices[0].header, "Modality") != "CT" or scale_of(volume) is None:
        return "the outline of the body is found in CT in Hounsfield units alone"
    if abs(volume.affine_lps[2, 0]) < np.abs(volume.affine_lps[:2, 0]).max():
        return "the slices are not axial"
    return ""


def _body_slices(volume: Volume) -> list[_BodySlice]:
    """The sampled slices that hold a body."""
    outline = find_outline(volume)
    turned = outline.turn.apply_affine(volume.affine_lps, volume.array.shape)
    rows, columns = (np.arange(n) * step for n, step in zip(outline.body.shape[1:], outline.steps, strict=True))
    found = []
    for index, body, hu in zip(outline.indices, outline.body, outline.hu, strict=True):
        if not body.any():
            continue
        x_mm = turned[0, 0] * index + turned[0, 1] * rows[:, None] + turned[0, 2] * columns + turned[0, 3]
        inside = x_mm[body]
        stored = len(volume.array) - 1 - index if 0 in outline.turn.flips else index
        cut = bool(body[:, 0].any() or body[:, -1].any())
        found.append(_BodySlice(int(stored), inside.min(), inside.max(), cut, x_mm[body & (hu > BONE_HU)]))
    return found


def _place_of(region: Region, volume: Volume, body: list[_BodySlice], unfit: str) -> _Place:
    """Where a region lies against the middle of the body around it."""
    if region.unmeasured or unfit:
        return _Place(reason=region.unmeasured or unfit)
    box = region.on(grid_of(volume))
    if not box.mask.any():
        return _Place(reason="it has no voxel in the images")
    slices = box.corner[0] + np.flatnonzero(box.mask.any(axis=(1, 2)))
    reach = AROUND_MM / volume.spacing_mm[0]
    middle_mm, reason = _middle_of([each for each in body if slices[0] - reach <= each.index <= slices[-1] + reach])
    if reason:
        return _Place(reason=reason)
    left_mm = _lateral_of(box, volume.affine_lps) - middle_mm
    mean_mm, share = float(left_mm.mean()), float(np.mean(left_mm > 0))
    one_side = abs(mean_mm) >= UNSURE_MM and max(share, 1 - share) >= SHARE
    return _Place(mean_mm, (codes.LEFT if mean_mm > 0 else codes.RIGHT) if one_side else None)


def _middle_of(body: list[_BodySlice]) -> tuple[float, str]:
    """LPS x of the body's middle in some slices, or why it is not known."""
    if not body:
        return 0.0, "no body was found around it"
    whole = [each for each in body if not each.cut]
    if not whole:
        return 0.0, "the image cuts the body off at a side"
    if min(each.left_mm - each.right_mm for each in whole) < WIDTH_MM:
        return 0.0, "the outline is narrower than a trunk or two legs"
    middle_mm = float(np.median([(each.left_mm + each.right_mm) / 2 for each in whole]))
    bone_mm = np.concatenate([each.bone_mm for each in whole])
    if not bone_mm.size or abs(float(np.median(bone_mm)) - middle_mm) > UNSURE_MM:
        return 0.0, "outline and bones do not agree where the middle of the body is"
    return middle_mm, ""


def _lateral_of(box: Box, affine_lps: NDArray[np.float64]) -> NDArray[np.float32]:
    """`(voxels,)`: LPS x of each voxel of a mask on the volume's grid, mm."""
    parts = []
    for index, plane in enumerate(box.mask, start=box.corner[0]):
        rows, columns = (at + low for at, low in zip(np.nonzero(plane), box.corner[1:], strict=True))
        x_mm = affine_lps[0, 0] * index + affine_lps[0, 1] * rows + affine_lps[0, 2] * columns + affine_lps[0, 3]
        parts.append(x_mm.astype(np.float32))
    return np.concatenate(parts)
