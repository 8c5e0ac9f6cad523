"""Trunk cases: random trunk phantoms on random grids, and what ct_body_composition's operators measure on them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from benchmarks.degradations import degradations
from benchmarks.readings import HU, Reading, allowed_of, flawless_hu, shells_cm2, volume_of, worst_of
from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.degrade import Implant
from mapnode.phantom.trunk import Phantom, TrunkPhantomParameters, build_trunk_phantom, trunk_areas_cm2
from mapnode.phantom.trunk_body import random_trunk_body
from operators.core.errors import SegmentationError
from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.measure.measure_segments import measure_segments
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.segment import TrunkEngine
from operators.segment.classical.trunk_engine import ILIAC_CREST

ENGINE = TrunkEngine(version="0.1.0")
THICKNESSES_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
LIMIT_MM = 155.0
PIXEL_MM = (0.8, 1.5)
STACK_MM = (40.0, 80.0)
FIELD_MM = (330.0, 480.0)
AREAS = 12
"""So many slices of a stack have their areas compared, evenly spread over it."""
DEGRADED_SLICES, DEGRADED_SPACING_MM, DEGRADED_CENTRE_MM = 20, (5.0, 1.2, 1.2), 20.0
ROD = Implant((24.0, 64.0, -20.0), (24.0, 64.0, 60.0), radius_mm=3.0)
"""Of a spinal fusion, along two vertebrae, left of the processes."""
NO_PELVIS = Reading("no pelvis seen where there is none", 1.0, 1.0, 0.5)
Shells = dict[str, np.ndarray]


def clean_readings(seed: int) -> list[Reading]:
    """All readings of one random phantom; of one in which a pelvis was seen, which it has not, that alone.

    Below what it takes for the iliac crest the engine labels no fat and no muscle, or finds no spine above it.
    """
    parameters = random_parameters(seed)
    phantom = build_trunk_phantom(parameters)
    volume = volume_of(phantom.hu, phantom.affine_lps)
    try:
        label_map = ENGINE.segment(volume, _silent)
    except SegmentationError:
        return [replace(NO_PELVIS, measured=0.0)]
    if ILIAC_CREST in label_map.landmarks:
        return [replace(NO_PELVIS, measured=0.0)]
    shells = {name: shells_cm2(_inside(phantom, name), parameters.spacing_mm[1]) for name in phantom.truth_volume_ml}
    shells_ml = {name: float(areas.sum()) * parameters.spacing_mm[0] / 10 for name, areas in shells.items()}
    return [
        NO_PELVIS,
        *_whole(phantom, shells_ml, volume, label_map),
        flawless_hu("bone", phantom.truth_mean_hu["bone"], phantom.hu[_inside(phantom, "bone")]),
        *_by_slice(parameters, shells, volume, label_map),
    ]


def degraded_readings(seed: int) -> Iterator[tuple[str, list[Reading]]]:
    """Volumes, attenuations and VAT/SAT of one random phantom, once for each way to degrade it."""
    parameters = replace(
        random_parameters(seed), slices=DEGRADED_SLICES, spacing_mm=DEGRADED_SPACING_MM, centre_z_mm=DEGRADED_CENTRE_MM
    )
    phantom = build_trunk_phantom(parameters)
    for name, degrade in degradations(parameters.spacing_mm, seed, ROD, "rod beside the spine").items():
        volume = volume_of(*degrade(phantom.hu, phantom.affine_lps))
        yield name, list(_whole(phantom, None, volume, ENGINE.segment(volume, _silent)))


def random_parameters(seed: int) -> TrunkPhantomParameters:
    """Draw a body and a grid; its thickness goes round with the seed."""
    rng = np.random.default_rng(seed)
    thickness = THICKNESSES_MM[seed % len(THICKNESSES_MM)]
    body, pixel = random_trunk_body(rng), float(rng.uniform(*PIXEL_MM))
    slices = math.ceil(rng.uniform(*STACK_MM) / thickness)
    room = LIMIT_MM * body.height - slices * thickness / 2
    return TrunkPhantomParameters(
        slices=slices,
        spacing_mm=(thickness, pixel, pixel),
        field_mm=FIELD_MM,
        centre_z_mm=float(rng.uniform(-room, room)),
        body=body,
    )


def _inside(phantom: Phantom, name: str) -> np.ndarray:
    """The true mask `(slices, rows, columns)` of a tissue or the body."""
    if name == "body":
        return phantom.truth_labels > 0
    return phantom.truth_labels == PhantomTissue[name.upper()]


def _whole(
    phantom: Phantom, shells_ml: Mapping[str, float] | None, volume: Volume, label_map: LabelMap
) -> Iterator[Reading]:
    """Volume and mean attenuation of each tissue, and VAT/SAT; held to nothing where there are no shells."""
    measured = {
        each.segment_name: {m.quantity.name: m.value for m in each.values}
        for each in measure_segments(volume, label_map)
    }
    for name, volume_ml in phantom.truth_volume_ml.items():
        allowed = allowed_of(volume_ml, shells_ml[name]) if shells_ml else None
        yield Reading(f"volume, {name}", volume_ml, measured[name].get("volume_ml"), allowed)
        allowed_hu = HU if shells_ml else None
        yield Reading(f"mean HU, {name}", phantom.truth_mean_hu[name], measured[name].get("mean_hu"), allowed_hu)
    true, found = phantom.truth_volume_ml, {name: values["volume_ml"] for name, values in measured.items()}
    yield Reading("VAT/SAT ratio", _visceral_to_subcutaneous(true), _visceral_to_subcutaneous(found))


def _by_slice(
    parameters: TrunkPhantomParameters, shells: Shells, volume: Volume, label_map: LabelMap
) -> Iterator[Reading]:
    """The area of each tissue in the middle slice, and in the slice where it is worst against what is allowed."""
    table = measure_slice_areas(volume, label_map)
    slices = np.unique(np.linspace(0, parameters.slices - 1, AREAS).round().astype(int))
    for name, true in trunk_areas_cm2(parameters, slices).items():
        readings = [
            Reading("", float(area), table[index].area_cm2[name], allowed_of(float(area), float(shells[name][index])))
            for index, area in zip(slices, true, strict=True)
        ]
        yield replace(readings[len(readings) // 2], quantity=f"area of a middle slice, {name}")
        yield replace(worst_of(readings), quantity=f"area of the worst slice, {name}")


def _visceral_to_subcutaneous(volumes: Mapping[str, float]) -> float:
    return volumes["visceral_fat"] / volumes["subcutaneous_fat"]


def _silent(_fraction: float, _step: str) -> None:
    """Nobody listens."""
