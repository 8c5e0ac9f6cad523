"""Measurements: values that cannot be changed after they were measured."""

import dataclasses

import pytest

from operators.measure.measure_segments import MEAN_HU, SD_HU, VOLUME
from tests.builders import make_label_map, make_measurements, make_volume


def test_a_measured_value_cannot_be_changed():
    measured = make_measurements(make_label_map(make_volume()))[0]

    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.values[0].value = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.voxels = 1


def test_quantities_differ_in_name_and_code():
    quantities = (VOLUME, MEAN_HU, SD_HU)

    assert len({quantity.name for quantity in quantities}) == 3
    assert len({(quantity.concept, quantity.derivation) for quantity in quantities}) == 3
