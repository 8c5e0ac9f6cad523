"""Muscle: which soft tissue belongs to the wall, the back and the psoas, and up to which HU."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from operators.segment.classical.morphology import Spacing, close_ball, distance_inside
from operators.segment.classical.spine import vertebra_zone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.segment.classical.parameters import TrunkParameters
    from operators.segment.classical.spine import SpineTrack


class SoftPart(IntEnum):
    """Parts of the soft tissue inside the fascia."""

    PARASPINAL = 1
    PSOAS = 2
    WALL = 3
    ORGAN = 4


@dataclass(frozen=True, eq=False)
class TrunkFields:
    """What the earlier steps found on the working grid.

    Attributes:
        hu: The volume.
        bone: Bone with marrow.
        fascia: The inside of the outer fascia.
        inside_mm: Distance to the inner surface of the wall, positive inside.
        sharp: 0 to 1, how far that surface parts muscle from fat or gas, not from an organ.
        track: The vertebral column.
        spacing_mm: Distance between slices, rows, columns.
    """

    hu: NDArray[np.float32]
    bone: NDArray[np.bool_]
    fascia: NDArray[np.bool_]
    inside_mm: NDArray[np.float32]
    sharp: NDArray[np.float32]
    track: SpineTrack
    spacing_mm: Spacing


def part_soft_tissue(fields: TrunkFields, parameters: TrunkParameters) -> NDArray[np.uint8]:
    """Part the soft tissue inside the fascia: a watershed on its thickness, seeded where anatomy is certain.

    Args:
        fields: What the earlier steps found.
        parameters: Constants of the engine.

    Returns:
        A `SoftPart` for soft tissue and what lies within a voxel of it, 0 in vertebrae and elsewhere.
    """
    shape, spacing_mm = fields.hu.shape, fields.spacing_mm
    zone = vertebra_zone(fields.track, shape, spacing_mm, parameters)
    soft = fields.fascia & ~fields.bone & ~zone & (fields.hu > parameters.soft_hu)
    depth = distance_inside(soft, spacing_mm)
    seeds = seed_soft_tissue(fields, soft, depth, parameters)
    parts = np.asarray(watershed(-depth, seeds, mask=soft), dtype=np.uint8)
    return np.where(zone, 0, _spread(parts, spacing_mm, parameters.work_spacing_mm)).astype(np.uint8)


def seed_soft_tissue(
    fields: TrunkFields, soft: NDArray[np.bool_], depth: NDArray[np.float32], parameters: TrunkParameters
) -> NDArray[np.uint8]:
    """Seed the watershed behind the spine, beside the vertebral body, in the wall and deep in the cavity.

    Args:
        fields: What the earlier steps found.
        soft: Soft tissue that is to be parted.
        depth: Distance to what is not soft, in mm.
        parameters: Constants of the engine.

    Returns:
        A `SoftPart` where it is certain, else 0.
    """
    behind = fields.track.posterior_mm(soft.shape, fields.spacing_mm)
    left = np.abs(fields.track.lateral_mm(soft.shape, fields.spacing_mm))
    radius = fields.track.radii_mm.astype(np.float32)[:, None, None]
    width = parameters.vertebra_aspect * radius
    thick = soft & (depth >= parameters.seed_depth_mm)
    lateral = (left > width + parameters.organ_lateral_mm) & (behind < radius)
    beyond = (behind < -(radius + parameters.organ_front_mm)) | lateral
    vessels = (behind < -(radius + parameters.vessel_front_mm)) & (left < width)
    organ = thick & (fields.inside_mm > parameters.organ_depth_mm) & (beyond | vessels)
    beside = (left > width + parameters.psoas_near_mm) & (left < width + parameters.psoas_far_mm)
    psoas = (depth >= parameters.psoas_depth_mm) & beside & (behind > -0.5 * radius) & (behind < radius)
    back = (left > parameters.paraspinal_near_mm) & (left < parameters.paraspinal_far_mm)
    paraspinal = thick & back & (behind > radius + parameters.paraspinal_behind_mm)
    seeds = np.zeros(soft.shape, dtype=np.uint8)
    seeds[organ] = SoftPart.ORGAN
    seeds[psoas] = SoftPart.PSOAS
    seeds[soft & (fields.inside_mm <= 0)] = SoftPart.WALL
    seeds[paraspinal] = SoftPart.PARASPINAL
    return seeds


def muscle_zone(fields: TrunkFields, parts: NDArray[np.uint8], parameters: TrunkParameters) -> NDArray[np.bool_]:
    """Draw where soft tissue is muscle: back, psoas, and the wall, which is thicker behind (quadratus, latissimus).

    Args:
        fields: What the earlier steps found.
        parts: A `SoftPart` for every voxel.
        parameters: Constants of the engine.

    Returns:
        The zone, with the fat in it.
    """
    behind = fields.track.posterior_mm(parts.shape, fields.spacing_mm)
    left = np.abs(fields.track.lateral_mm(parts.shape, fields.spacing_mm))
    radius = fields.track.radii_mm.astype(np.float32)[:, None, None]
    quadratus = (behind > 0) & (left < parameters.vertebra_aspect * radius + parameters.organ_lateral_mm)
    back = quadratus | (behind > radius)
    in_wall = fields.inside_mm <= parameters.surface_tolerance_mm * fields.sharp
    wall = (parts == SoftPart.WALL) & (in_wall | back)
    return np.asarray((parts == SoftPart.PARASPINAL) | (parts == SoftPart.PSOAS) | wall, dtype=np.bool_)


def _behind_ribs(fields: TrunkFields) -> NDArray[np.bool_]:
    """Mark what lies straight behind a rib or process: behind the vertebral bodies the cavity is in front of those."""
    behind = fields.track.posterior_mm(fields.bone.shape, fields.spacing_mm)
    posterior = fields.bone & (behind > fields.track.radii_mm[:, None, None])
    return np.asarray(np.logical_or.accumulate(posterior, axis=1), dtype=np.bool_)


def muscle_limit(
    hu: NDArray[np.float32], parts: NDArray[np.uint8], bone: NDArray[np.bool_], parameters: TrunkParameters
) -> float:
    """Set the upper limit of smoothed HU: costal cartilage and enhanced organs are brighter than back muscle.

    Args:
        hu: Smoothed volume on the working grid.
        parts: A `SoftPart` for every voxel.
        bone: Bone.
        parameters: Constants of the engine.

    Returns:
        The limit in HU.
    """
    window = (hu >= parameters.muscle_low_hu) & (hu <= parameters.muscle_high_hu) & ~bone
    sample = hu[window & (parts == SoftPart.PARASPINAL)]
    if sample.size == 0:
        return parameters.muscle_high_hu
    median = float(np.median(sample))
    spread = float(np.median(np.abs(sample - median)))
    return median + max(parameters.muscle_above_median_hu, parameters.muscle_above_mad * spread)


def smooth_hu(
    hu: NDArray[np.float32], bone: NDArray[np.bool_], spacing_mm: Spacing, parameters: TrunkParameters
) -> NDArray[np.float32]:
    """Average soft tissue within each slice; fat, air and bone have no say, so that they do not bleed into muscle.

    Args:
        hu: Volume on the working grid.
        bone: Bone.
        spacing_mm: Distance between slices, rows, columns.
        parameters: Constants of the engine.

    Returns:
        The average of the soft tissue nearby, the voxel's own HU where there is none.
    """
    sigma = parameters.muscle_smoothing_mm
    sigmas = (0.0, sigma / spacing_mm[1], sigma / spacing_mm[2])
    soft = (~bone & (hu > parameters.soft_hu) & (hu <= parameters.muscle_high_hu)).astype(np.float32)
    weight = ndimage.gaussian_filter(soft, sigmas)
    total = ndimage.gaussian_filter(soft * hu, sigmas)
    return np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), hu).astype(np.float32)


def paraspinal_zone(fields: TrunkFields, parts: NDArray[np.uint8], parameters: TrunkParameters) -> NDArray[np.bool_]:
    """Draw the back: its muscles, the vertebrae with foramina, the gaps between them and all that lies behind."""
    shape, spacing_mm = parts.shape, fields.spacing_mm
    soft = fields.hu > parameters.soft_hu
    behind = fields.track.posterior_mm(shape, spacing_mm)
    left = np.abs(fields.track.lateral_mm(shape, spacing_mm))
    radius = fields.track.radii_mm.astype(np.float32)[:, None, None]
    width = parameters.vertebra_aspect * radius + parameters.foramen_mm
    foramina = (left <= width) & (behind > 0.5 * radius)
    zone = vertebra_zone(fields.track, shape, spacing_mm, parameters)
    back = ((parts == SoftPart.PARASPINAL) & soft) | zone | foramina
    closed = close_ball(np.asarray(back), parameters.paraspinal_closing_mm, spacing_mm) & fields.fascia
    return np.asarray(np.logical_or.accumulate(closed, axis=1) | _behind_ribs(fields), dtype=np.bool_)


def _spread(parts: NDArray[np.uint8], spacing_mm: Spacing, reach_mm: float) -> NDArray[np.uint8]:
    """Give voxels without a part that of the nearest voxel, within reach."""
    distance, nearest = ndimage.distance_transform_edt(parts == 0, sampling=spacing_mm, return_indices=True)
    return np.where(distance <= reach_mm * 1.5, parts[tuple(nearest)], 0).astype(np.uint8)
