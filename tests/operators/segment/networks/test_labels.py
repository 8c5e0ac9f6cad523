"""labels: what a model's labels mean, by the catalogue."""

import numpy as np
import pytest

from operators.core.errors import ModelError
from operators.segment.networks.labels import merged_probabilities, segments_of


def test_labels_of_one_meaning_are_one_segment():
    segments = segments_of({"left": (1,), "right": (3,), "Bone": (2,)}, {"left": "liver", "right": "liver"})

    assert [(s.number, s.name, s.labels) for s in segments] == [(1, "liver", (1, 3)), (2, "bone", (2,))]


def test_probabilities_of_one_meaning_add_up():
    names = {"left": "liver", "right": "liver"}
    segments = segments_of({"left": (1,), "right": (3,)}, names)

    (merged,) = merged_probabilities(
        {"left": np.full((1, 1, 1), 0.25), "right": np.full((1, 1, 1), 0.5)}, names, segments
    )

    assert merged == 0.75


@pytest.mark.parametrize("value", [0, 256])
def test_values_that_no_label_map_holds_are_refused(value):
    with pytest.raises(ModelError, match="1 to 255"):
        segments_of({"bone": (value,)}, {})


def test_a_model_with_nothing_but_background_is_refused():
    with pytest.raises(ModelError, match="no label"):
        segments_of({}, {})


def test_a_name_that_is_not_in_the_catalogue_is_refused_with_the_nearest_ones():
    with pytest.raises(ModelError, match=r"livr.*liver"):
        segments_of({"livr": (1,)}, {})
