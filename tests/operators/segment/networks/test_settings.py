"""NetworkSettings: what an app's parameters may say."""

import dataclasses

import pytest

from operators.core.errors import ModelError
from operators.segment.networks import NetworkSettings


def test_parameters_of_other_steps_are_left_alone():
    assert NetworkSettings.from_parameters({"tile_overlap": 0.25, "colour": "blue"}) == NetworkSettings(
        tile_overlap=0.25
    )


@pytest.mark.parametrize(
    "wrong", [{"device": "tpu"}, {"tile_overlap": 1.0}, {"tile_overlap": -0.1}, {"time_budget_s": 0}]
)
def test_a_wrong_value_is_named(wrong):
    with pytest.raises(ModelError, match=next(iter(wrong))):
        NetworkSettings(**wrong)


def test_what_changes_a_label_is_in_the_digest():
    free = {"time_budget_s", "probabilities_mb"}
    assert set(NetworkSettings().for_digest) == {f.name for f in dataclasses.fields(NetworkSettings)} - free
