"""Trunk cases: the trunk phantom on random grids, and what ct_body_composition's operators measure on it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from benchmarks.readings import HU, Reading, allowed_of, shells_cm2, volume_of
from mapnode.phantom.anatomy import PhantomTissue
from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom
from operators.measure.measure_segments import measure_segments
from operators.segment import TrunkEngine

ENGINE = TrunkEngine(version="0.1.0")
THICKNESSES_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
LIMIT_MM = 155.0


def clean_readings(seed: int) -> list[Reading]:
    """Volume and mean attenuation of each tissue of the trunk phantom on one random grid, and VAT/SAT."""
    parameters = random_parameters(seed)
    phantom = build_trunk_phantom(parameters)
    volume = volume_of(phantom.hu, phantom.affine_lps)
    label_map = ENGINE.segment(volume, lambda _fraction, _step: None)
    measured = {
        each.segment_name: {m.quantity.name: m.value for m in each.values}
        for each in measure_segments(volume, label_map)
    }
    readings = []
    for name, volume_ml in phantom.truth_volume_ml.items():
        inside = phantom.truth_labels > 0 if name == "body" else phantom.truth_labels == PhantomTissue[name.upper()]
        shell = float(shells_cm2(inside, parameters.spacing_mm[1]).sum()) * parameters.spacing_mm[0] / 10
        readings += [
            Reading(f"volume, {name}", volume_ml, measured[name].get("volume_ml"), allowed_of(volume_ml, shell)),
            Reading(f"mean HU, {name}", phantom.truth_mean_hu[name], measured[name].get("mean_hu"), HU),
        ]
    true, found = phantom.truth_volume_ml, {name: values["volume_ml"] for name, values in measured.items()}
    readings.append(Reading("VAT/SAT ratio", _visceral_to_subcutaneous(true), _visceral_to_subcutaneous(found)))
    return readings


def random_parameters(seed: int) -> TrunkPhantomParameters:
    """Draw a grid; its thickness goes round with the seed."""
    rng = np.random.default_rng(seed)
    thickness = THICKNESSES_MM[seed % len(THICKNESSES_MM)]
    pixel = float(rng.uniform(0.9, 2.0))
    slices = math.ceil(rng.uniform(100, 180) / thickness)
    room = LIMIT_MM - slices * thickness / 2
    return TrunkPhantomParameters(
        slices=slices, spacing_mm=(thickness, pixel, pixel), centre_z_mm=float(rng.uniform(-room, room))
    )


def _visceral_to_subcutaneous(volumes: Mapping[str, float]) -> float:
    return volumes["visceral_fat"] / volumes["subcutaneous_fat"]
