"""Features: a scan in numbers that follow what is in it, not how it was stored."""

import numpy as np
import pytest

from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.measure.measure_segments import measure_segments
from operators.qc.features import features_of
from operators.qc.measure_input import measure_input
from tests.builders import ALGORITHM, TISSUES
from tests.operators.qc.bodies import make_body, stored_as


def labelled(volume):
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[volume.array > -500] = 1
    labels[volume.array > 300] = 2
    labels[(volume.array > -190) & (volume.array < -30)] = 3
    return LabelMap(labels, volume.affine_lps.copy(), TISSUES, ALGORITHM)


def features(volume):
    label_map = labelled(volume)
    return features_of(volume, label_map, measure_segments(volume, label_map), measure_input(volume))


def test_features_have_the_same_names_whatever_is_found():
    empty = Volume(np.full((4, 60, 60), -1000, np.int16), np.diag([2.0, 2, 5, 1])[[2, 1, 0, 3]], "1", ())

    assert set(features(make_body())) == set(features(empty))


@pytest.mark.parametrize("flips", [(0,), (1,), (2,), (0, 1, 2)])
def test_features_do_not_depend_on_the_order_of_storage(flips):
    volume = make_body(noise_hu=10)

    straight, turned = features(volume), features(stored_as(volume, flips))

    assert straight.keys() == turned.keys()
    for name, value in straight.items():
        assert turned[name] == (None if value is None else pytest.approx(value, rel=0.1, abs=0.5)), name


def test_noise_raises_texture_and_fat_its_share():
    plain, noisy, fat = (features(make_body(**kwargs)) for kwargs in ({}, {"noise_hu": 40}, {"fat_mm": 40}))

    assert noisy["texture_4mm"] > plain["texture_4mm"] + 20
    assert fat["fat_share"] > plain["fat_share"] + 0.05
