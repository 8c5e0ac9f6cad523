"""Leg cases: random leg phantoms, clean and degraded, and what ct_leg_tissue's operators measure on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.degradations import degradations
from benchmarks.readings import HU, Reading, allowed_of, flawless_hu, shells_cm2, volume_of, worst_of
from mapnode.phantom.degrade import Implant
from mapnode.phantom.leg_anatomy import LegTissue
from mapnode.phantom.legs import (
    SIDES,
    TISSUES,
    LegPhantom,
    LegPhantomParameters,
    LegTruth,
    build_leg_phantom,
    leg_truth,
    random_leg_parameters,
)
from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements
from operators.core.volume import Volume
from operators.measure.measure_segments import measure_segments
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.segment import LegEngine

ENGINE = LegEngine(version="0.1.0")
THICKNESSES_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
WHOLE_THICKNESSES_MM = (3.0, 4.0, 5.0)
"""Of stacks of whole legs: thinner ones would be 600 slices."""
JOINT_MM = 30.0
"""So near to the knee joint areas are not compared: cartilage counts as muscle there."""
PART_SLICES, PART_MM = 20, 50.0
"""Of a part of the thighs; the app takes no less than 50 mm."""
PIXEL_MM = (0.7, 1.3)
WHOLE_PIXEL_MM = 2.5
DEGRADED_THICKNESS_MM = 5.0
DEGRADED_PIXEL_MM = 1.5
DEGRADED_SLICES = 30
TRUTH_MM = 0.5
WHOLE_TRUTH_MM = 1.0
"""Distance of the points that the truth is counted at; over the planes of whole legs the coarser one does as well."""


def thigh_readings(seed: int) -> list[Reading]:
    """All readings of a part of the thighs of one random phantom."""
    return _readings(thigh_parameters(seed), TRUTH_MM)


def whole_readings(seed: int) -> list[Reading]:
    """All readings of one random phantom from below the knees to above the hips, with the fractions of the femora."""
    thickness = WHOLE_THICKNESSES_MM[seed % len(WHOLE_THICKNESSES_MM)]
    return _readings(random_leg_parameters(np.random.default_rng(seed), thickness, WHOLE_PIXEL_MM), WHOLE_TRUTH_MM)


def thigh_parameters(seed: int) -> LegPhantomParameters:
    """Draw legs, pixels, and a stack anywhere along the thighs; its thickness goes round with the seed."""
    rng = np.random.default_rng(seed)
    thickness = THICKNESSES_MM[seed % len(THICKNESSES_MM)]
    parameters = random_leg_parameters(rng, thickness, float(rng.uniform(*PIXEL_MM)))
    slices = max(PART_SLICES, math.ceil(PART_MM / thickness))
    half = slices * thickness / 2
    low, high = parameters.left.femur_z_mm[0] + 2 * JOINT_MM + half, parameters.left.femur_z_mm[1] - half
    return replace(parameters, slices=slices, centre_z_mm=float(rng.uniform(low, high)))


def _readings(parameters: LegPhantomParameters, truth_mm: float) -> list[Reading]:
    phantom, truth = build_leg_phantom(parameters), leg_truth(parameters, truth_mm)
    volume = volume_of(phantom.hu, phantom.affine_lps)
    label_map = ENGINE.segment(volume, _silent)
    shells = {
        f"{name}_{side}": shells_cm2(_inside(phantom, name, side), parameters.spacing_mm[1])
        for name in TISSUES
        for side in SIDES
    }
    return [
        *_whole(parameters, truth, shells, measure_segments(volume, label_map)),
        *(_flawless(phantom, truth, side) for side in SIDES),
        *_by_slice(parameters, truth, shells, volume, label_map),
        *_femora(parameters, label_map),
    ]


def _inside(phantom: LegPhantom, name: str, side: str) -> NDArray[np.bool_]:
    """The true mask `(slices, rows, columns)` of a tissue of a leg."""
    inside: NDArray[np.bool_] = (phantom.truth_labels == LegTissue[name.upper()]) & (phantom.truth_side == SIDES[side])
    return inside


def _flawless(phantom: LegPhantom, truth: LegTruth, side: str) -> Reading:
    return flawless_hu("bone", truth.mean_hu[f"bone_{side}"], phantom.hu[_inside(phantom, "bone", side)])


def degraded_readings(seed: int) -> Iterator[tuple[str, list[Reading]]]:
    """Volumes and attenuations of one random phantom, once for each way to degrade it."""
    parameters = random_leg_parameters(np.random.default_rng(seed), DEGRADED_THICKNESS_MM, DEGRADED_PIXEL_MM)
    # The femur from above the knee to below the hip.
    parameters = replace(parameters, slices=DEGRADED_SLICES, centre_z_mm=sum(parameters.femur_z_mm("left")) / 2)
    phantom, truth = build_leg_phantom(parameters), leg_truth(parameters, TRUTH_MM)
    nail = "nail in the left femur"
    for name, degrade in degradations(parameters.spacing_mm, seed, _nail(parameters), nail).items():
        volume = volume_of(*degrade(phantom.hu, phantom.affine_lps))
        measured = measure_segments(volume, ENGINE.segment(volume, _silent))
        yield name, _whole(parameters, truth, {}, measured)


def _nail(parameters: LegPhantomParameters) -> Implant:
    """A nail of 10 mm in the marrow of the left femur, from above the condyles to the trochanter."""
    low, high = parameters.femur_z_mm("left")
    turn = np.radians(parameters.roll_deg)
    axis = parameters.axis_mm("left") * np.array([np.cos(turn), np.sin(turn)])
    return Implant((*axis, low + 60.0), (axis[0] + 6.0, axis[1], high - 80.0), radius_mm=5.0)


def _whole(
    parameters: LegPhantomParameters,
    truth: LegTruth,
    shells: dict[str, NDArray[np.float64]],
    measured: tuple[SegmentMeasurements, ...],
) -> Iterator[Reading]:
    """Volume and mean attenuation of each tissue of each leg, and the ratios."""
    values = {
        each.segment_name.removeprefix("leg_"): {m.quantity.name: m.value for m in each.values} for each in measured
    }
    thickness_cm = parameters.spacing_mm[0] / 10
    for key, volume_ml in truth.volume_ml.items():
        name = key.rpartition("_")[0]
        allowed = allowed_of(volume_ml, float(shells[key].sum()) * thickness_cm) if shells else None
        yield Reading(f"volume, {name}", volume_ml, values[key].get("volume_ml"), allowed)
        yield Reading(f"mean HU, {name}", truth.mean_hu[key], values[key].get("mean_hu"), HU if shells else None)
    for side in SIDES:
        true, found = truth.volume_ml, {key: value["volume_ml"] for key, value in values.items()}
        yield Reading("IMAT fraction", _fraction(true, side), _fraction(found, side))
        yield Reading("SM/SAT ratio", _muscle_to_fat(true, side), _muscle_to_fat(found, side))


def _by_slice(
    parameters: LegPhantomParameters,
    truth: LegTruth,
    shells: dict[str, NDArray[np.float64]],
    volume: Volume,
    label_map: LabelMap,
) -> Iterator[Reading]:
    """Areas at the fractions of the femur, and the area that is worst against what is allowed of all slices."""
    table = measure_slice_areas(volume, label_map)
    z_mm = parameters.centres_z_mm
    for key, true in truth.area_cm2.items():
        name, _, side = key.rpartition("_")
        measured = np.array([row.area_cm2[f"leg_{key}"] for row in table])
        readings = [
            Reading("", float(a), float(b), allowed_of(float(a), float(s)))
            for a, b, s in zip(true, measured, shells[key], strict=True)
        ]
        for percent in (25, 50, 75):
            if (index := label_map.landmarks.get(f"femur_{percent}_{side}")) is not None:
                yield replace(readings[index], quantity=f"area at {percent} % of the femur, {name}")
        joint = parameters.femur_z_mm(side)[0]
        away = [each for each, z in zip(readings, z_mm, strict=True) if abs(z - joint) > JOINT_MM]
        yield replace(worst_of(away), quantity=f"area of the worst slice, {name}")


def _femora(parameters: LegPhantomParameters, label_map: LabelMap) -> Iterator[Reading]:
    """Where the fractions of whole femora lie, in mm: the landmark's slice may be half a slice off by itself."""
    first, last = parameters.centres_z_mm[[0, -1]]
    for side in SIDES:
        low, high = parameters.femur_z_mm(side)
        for percent in (25, 50, 75) if first < low and high < last else ():
            index = label_map.landmarks.get(f"femur_{percent}_{side}")
            z_mm = None if index is None else float(parameters.centres_z_mm[index])
            yield Reading(f"place of {percent} % of the femur", low + percent / 100 * (high - low), z_mm)


def _fraction(volumes: dict[str, float], side: str) -> float:
    inside = volumes[f"intermuscular_fat_{side}"]
    return inside / (inside + volumes[f"skeletal_muscle_{side}"])


def _muscle_to_fat(volumes: dict[str, float], side: str) -> float:
    return volumes[f"skeletal_muscle_{side}"] / volumes[f"subcutaneous_fat_{side}"]


def _silent(_fraction: float, _step: str) -> None:
    """Nobody listens."""
