"""Measurements: values that cannot be changed after they were measured."""

import dataclasses

import pytest

from operators.core.measurements import DerivedValue, rounded
from operators.measure.measure_key_slices import AREA
from operators.measure.measure_segments import MEAN_HU, SD_HU, VOLUME
from tests.builders import make_label_map, make_measurements, make_volume


def test_a_measured_value_cannot_be_changed():
    measured = make_measurements(make_label_map(make_volume()))[0]

    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.values[0].value = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        measured.voxels = 1


def test_quantities_differ_in_name_and_code():
    quantities = (VOLUME, MEAN_HU, SD_HU, AREA)

    assert len({quantity.name for quantity in quantities}) == 4
    assert len({(quantity.concept, quantity.derivation) for quantity in quantities}) == 4


@pytest.mark.parametrize("value", [1 / 3, -1e5 / 3, 2e-7 / 3, 123456789.123456789, 0.0])
def test_a_stated_number_fits_a_decimal_string_and_keeps_nine_digits(value):
    stated = rounded(value)

    assert len(repr(stated)) <= 16
    assert stated == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(("value", "reason"), [(None, ""), (1.0, "it was not found")])
def test_a_derived_value_has_either_a_number_or_a_reason(value, reason):
    with pytest.raises(ValueError, match="either"):
        DerivedValue(VOLUME, "Volume", "a / b", ("a", "b"), value, reason)
