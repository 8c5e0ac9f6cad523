"""segment_trunk: bone, subcutaneous, visceral and intermuscular fat and skeletal muscle of a trunk CT, without weights.

The steps and their order are those of a fixed recipe: body, bone, lungs, spine, iliac crest, outer fascia, inner wall,
parts of the soft tissue, then HU windows. Surfaces are found on a coarse grid and come back as smooth distances; voxels
are classified by their own HU at full resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

from operators.segment.classical.body import find_body, find_skin, find_tissue, refine_body
from operators.segment.classical.bone import find_bone, refine_bone
from operators.segment.classical.fascia import find_fascia
from operators.segment.classical.fat import bowel_content
from operators.segment.classical.grid import WorkGrid, signed_distance
from operators.segment.classical.intermuscular import intermuscular_zone
from operators.segment.classical.morphology import Spacing, drop_small
from operators.segment.classical.muscle import (
    TrunkFields,
    muscle_limit,
    muscle_zone,
    paraspinal_zone,
    part_soft_tissue,
    smooth_hu,
)
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.pelvis import find_iliac_crest
from operators.segment.classical.spine import canal_zone, drop_enhanced, track_spine
from operators.segment.classical.thorax import find_lungs, find_thorax_slice
from operators.segment.classical.wall import find_inner_wall

if TYPE_CHECKING:
    from numpy.typing import NDArray

Progress = Callable[[float, str], None]


class TrunkTissue(IntEnum):
    """Values of the label map; 0 is outside the body."""

    OTHER = 1
    BONE = 2
    SAT = 3
    VAT = 4
    MUSCLE = 5
    IMAT = 6


@dataclass(frozen=True, eq=False)
class TrunkSegmentation:
    """Tissues of a trunk CT.

    Attributes:
        labels: `(slices, rows, columns)`, 0 outside the body, else a `TrunkTissue`.
        iliac_crest_slice: Highest slice with iliac bone, None without; from there down only OTHER and BONE.
        thorax_slice: Lowest slice from which on most of the inside is lung, None without; fat there is not abdominal.
    """

    labels: NDArray[np.uint8]
    iliac_crest_slice: int | None
    thorax_slice: int | None


@dataclass(frozen=True, eq=False)
class _Frame:
    """The whole field on the working grid, cropped to the body.

    Attributes:
        grid: Working grid of the cropped volume.
        hu: The volume on it.
        body: The body.
        bone: Bone with marrow.
        lungs: The lungs.
    """

    grid: WorkGrid
    hu: NDArray[np.float32]
    body: NDArray[np.bool_]
    bone: NDArray[np.bool_]
    lungs: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Compartments:
    """Smooth surfaces above the iliac crest, as distances in mm, positive inside.

    Attributes:
        grid: Working grid of the slices above the crest.
        fascia: The outer fascia.
        cavity: Where fat is visceral.
        muscle: Where soft tissue is muscle.
        between: Where fat is intermuscular.
        bowel: Gas, stool and lungs.
    """

    grid: WorkGrid
    fascia: NDArray[np.float32]
    cavity: NDArray[np.float32]
    muscle: NDArray[np.float32]
    between: NDArray[np.float32]
    bowel: NDArray[np.float32]


def segment_trunk(
    hu: NDArray[np.int16 | np.float32],
    spacing_mm: Spacing,
    parameters: TrunkParameters = TrunkParameters(),  # noqa: B008 - frozen
    progress: Callable[[float, str], None] | None = None,
) -> TrunkSegmentation:
    """Segment bone, subcutaneous fat, visceral fat, intermuscular fat and skeletal muscle of a trunk CT.

    Intermuscular fat takes only what no other tissue claims.

    Args:
        hu: Hounsfield units, `(slices, rows, columns)`; slices increase towards the head, rows towards posterior,
            columns towards the patient's left. It is not changed.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.
        progress: Called with the fraction done and the step that begins.

    Returns:
        Labels on the grid of `hu`, with the iliac crest and the thorax where they are in the field.

    Raises:
        TrunkSegmentationError: If the volume holds no body or no spine.
    """
    report = progress or _silent
    report(0.0, "body")
    frame, crop = _look(hu, spacing_mm, parameters)
    report(0.2, "spine and pelvis")
    crest = _crest(frame, parameters)
    first = 0 if crest is None else crest + 1
    compartments, thorax, bone = None, None, frame.bone
    if first < frame.hu.shape[0]:
        report(0.3, "wall and muscles")
        compartments, thorax, bone = _compartments(frame, first, parameters)
    report(0.7, "tissues")
    labels = np.zeros(hu.shape, dtype=np.uint8)
    labels[crop] = _classify(hu[crop], frame, bone, compartments, first * frame.grid.factors[0], spacing_mm, parameters)
    report(1.0, "done")
    factor = frame.grid.factors[0]
    return TrunkSegmentation(
        labels=labels,
        iliac_crest_slice=None if crest is None else min((crest + 1) * factor, hu.shape[0]) - 1,
        thorax_slice=None if thorax is None else (first + thorax) * factor,
    )


def _silent(_fraction: float, _step: str) -> None:
    """Report nothing."""


def _look(
    hu: NDArray[np.int16 | np.float32], spacing_mm: Spacing, parameters: TrunkParameters
) -> tuple[_Frame, tuple[slice, slice, slice]]:
    """Find the body on the working grid and crop to it."""
    grid = WorkGrid.of(hu.shape, spacing_mm, parameters.work_spacing_mm)
    work = grid.reduce(hu)
    body = find_body(work, grid.spacing_mm, parameters)
    boxes = [_extent(np.asarray(body.any(axis=axes))) for axes in ((0, 2), (0, 1))]
    work = np.ascontiguousarray(work[:, boxes[0], boxes[1]])
    body = np.ascontiguousarray(body[:, boxes[0], boxes[1]])
    rows, columns = (
        slice(box.start * factor, min(box.stop * factor, size))
        for box, factor, size in zip(boxes, grid.factors[1:], hu.shape[1:], strict=True)
    )
    cropped = WorkGrid(
        grid.factors, (hu.shape[0], rows.stop - rows.start, columns.stop - columns.start), grid.spacing_mm
    )
    bone = find_bone(work, body, grid.spacing_mm, parameters)
    lungs = find_lungs(work, body, grid.spacing_mm, parameters)
    return _Frame(cropped, work, body, bone, lungs), (slice(None), rows, columns)


def _extent(occupied: NDArray[np.bool_]) -> slice:
    """Give the occupied range with one voxel of air around it."""
    indices = np.flatnonzero(occupied)
    return slice(max(int(indices[0]) - 1, 0), min(int(indices[-1]) + 2, occupied.size))


def _crest(frame: _Frame, parameters: TrunkParameters) -> int | None:
    columns = np.arange(frame.body.shape[2])
    middles = []
    for plane in frame.body:
        occupied = columns[plane.any(axis=0)]
        middles.append((occupied[0] + occupied[-1]) / 2 if occupied.size else (columns.size - 1) / 2)
    return find_iliac_crest(frame.hu, frame.bone, np.array(middles), frame.grid.spacing_mm, parameters)


def _compartments(
    frame: _Frame, first: int, parameters: TrunkParameters
) -> tuple[_Compartments, int | None, NDArray[np.bool_]]:
    """Find the surfaces in the slices from `first` on."""
    spacing_mm = frame.grid.spacing_mm
    hu, body, lungs = frame.hu[first:], frame.body[first:], frame.lungs[first:]
    bone = frame.bone[first:]
    track = track_spine(bone, body, spacing_mm, parameters)
    bone = bone & ~(canal_zone(track, bone.shape, spacing_mm, parameters) & (hu <= parameters.bone_hu))
    fascia = find_fascia(hu, body, track, spacing_mm, parameters)
    wall = find_inner_wall(hu, bone, fascia, track, spacing_mm, parameters)
    bone = drop_enhanced(bone, wall.inside_mm, track, spacing_mm, parameters)
    fields = TrunkFields(hu, bone, fascia, wall.inside_mm, wall.sharp, track, spacing_mm)
    parts = part_soft_tissue(fields, parameters)
    smooth = smooth_hu(hu, bone, spacing_mm, parameters)
    muscle = muscle_zone(fields, parts, parameters)
    muscle &= smooth <= muscle_limit(smooth, parts, bone, parameters)
    between = intermuscular_zone(fields, muscle, parameters)
    inside = fascia & (wall.inside_mm > -parameters.surface_tolerance_mm)
    cavity = inside & ~paraspinal_zone(fields, parts, parameters)
    bowel = bowel_content(hu, inside, lungs, spacing_mm, parameters)
    factors, shape = frame.grid.factors, frame.grid.shape
    grid = WorkGrid(factors, (shape[0] - first * factors[0], shape[1], shape[2]), spacing_mm)
    surfaces = [signed_distance(mask, spacing_mm) for mask in (fascia, cavity, muscle, between, bowel)]
    thorax = find_thorax_slice(lungs, inside, parameters.thorax_fraction)
    return _Compartments(grid, *surfaces), thorax, np.concatenate([frame.bone[:first], bone])


def _classify(
    hu: NDArray[np.int16 | np.float32],
    frame: _Frame,
    bone: NDArray[np.bool_],
    compartments: _Compartments | None,
    first: int,
    spacing_mm: Spacing,
    parameters: TrunkParameters,
) -> NDArray[np.uint8]:
    """Classify every voxel of the cropped volume by the compartment it lies in and its own HU."""
    grid = frame.grid
    marrow = bone & (frame.hu <= parameters.bone_hu)
    body_mm, bone_mm, marrow_mm = (signed_distance(mask, grid.spacing_mm) for mask in (frame.body, bone, marrow))
    margin_mm = max(grid.spacing_mm[1:]) if max(grid.factors[1:]) > 1 else 0.0
    labels = np.zeros(hu.shape, dtype=np.uint8)
    for index, plane in enumerate(hu):
        tissue = find_tissue(plane, *spacing_mm[1:], parameters)
        body = refine_body(tissue, grid.restore(body_mm, index), margin_mm)
        depth, in_marrow = grid.restore(bone_mm, index), grid.restore(marrow_mm, index)
        is_bone = body & refine_bone(plane, depth, in_marrow, margin_mm, parameters)
        labels[index][body] = TrunkTissue.OTHER
        if compartments is not None and index >= first:
            skin = find_skin(body, *spacing_mm[1:], parameters.skin_mm)
            _classify_soft(labels[index], plane, skin, compartments, index - first, parameters)
        labels[index][is_bone] = TrunkTissue.BONE
    visceral = labels == TrunkTissue.VAT
    labels[visceral & ~drop_small(visceral, parameters.vat_minimum_ml, spacing_mm)] = TrunkTissue.OTHER
    return labels


def _classify_soft(
    labels: NDArray[np.uint8],
    hu: NDArray[np.int16 | np.float32],
    skin: NDArray[np.bool_],
    compartments: _Compartments,
    index: int,
    parameters: TrunkParameters,
) -> None:
    """Write fat and muscle of one slice into `labels`, which already holds the body."""
    body = labels > 0
    fascia, cavity, muscle, between, bowel = (
        compartments.grid.restore(getattr(compartments, field), index)
        for field in ("fascia", "cavity", "muscle", "between", "bowel")
    )
    margin_mm = parameters.intermuscular_margin_mm
    compartment = (between > 0) & (fascia > margin_mm) & (cavity <= -margin_mm) & (bowel <= -parameters.gas_margin_mm)
    is_fat = (hu >= parameters.intermuscular_low_hu) & (hu <= parameters.intermuscular_high_hu)
    # First, so that every other tissue takes back what it claims.
    labels[body & ~skin & compartment & is_fat] = TrunkTissue.IMAT
    is_muscle = body & ~skin & (muscle > 0) & (hu >= parameters.muscle_low_hu) & (hu <= parameters.muscle_high_hu)
    labels[is_muscle] = TrunkTissue.MUSCLE
    visceral = (cavity > 0) & (bowel <= -parameters.gas_margin_mm)
    labels[body & visceral & (hu >= parameters.vat_low_hu) & (hu <= parameters.vat_high_hu)] = TrunkTissue.VAT
    subcutaneous = body & ~skin & (fascia <= parameters.surface_tolerance_mm)
    labels[subcutaneous & (hu >= parameters.sat_low_hu) & (hu <= parameters.sat_high_hu)] = TrunkTissue.SAT
