import dataclasses

import pytest

from operators.segment.classical import TrunkParameters


def test_parameters_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrunkParameters().bone_hu = 100.0


def test_lengths_and_volumes_are_positive():
    for field in dataclasses.fields(TrunkParameters):
        if field.name.endswith(("_mm", "_ml", "_cm2", "_degrees")):
            assert getattr(TrunkParameters(), field.name) > 0, field.name


def test_fat_windows_end_where_muscle_begins():
    parameters = TrunkParameters()

    assert parameters.sat_high_hu < parameters.muscle_low_hu
    assert parameters.sat_low_hu <= parameters.vat_low_hu < parameters.vat_high_hu <= parameters.sat_high_hu
