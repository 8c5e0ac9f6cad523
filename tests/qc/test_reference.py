"""Reference sets on scans: what a site knows passes, what it never saw does not."""

import numpy as np
import pytest

from mapnode.phantom import degrade
from operators.core import codes
from operators.core.label_map import Algorithm, LabelMap
from operators.core.reference_set import build_reference_set
from operators.core.volume import Volume
from operators.measure.measure_segments import measure_segments
from operators.qc.features import features_of
from operators.qc.measure_input import measure_input
from operators.segment.trunk_tissues import TRUNK_SEGMENTS
from tests.qc import scans

ALGORITHM = Algorithm("truth", "1", "0" * 64, codes.MORPHOLOGICAL_OPERATIONS)


def features(scan):
    """Of a phantom with its true labels: an engine would take a hundred times as long."""
    volume = Volume(scan.hu.astype(np.int16), scan.affine_lps, "1.2", ())
    label_map = LabelMap(scan.labels, scan.affine_lps, TRUNK_SEGMENTS, ALGORITHM)
    return features_of(volume, label_map, measure_segments(volume, label_map), measure_input(volume))


def usual(seed):
    return scans.phantom(np.random.default_rng([2, seed]))


def is_unlike(reference, scan):
    distances, thresholds = reference.distances(features(scan)), reference.thresholds
    return distances.mahalanobis > thresholds.mahalanobis or distances.neighbour > thresholds.neighbour


@pytest.fixture(scope="module")
def reference():
    return build_reference_set("app", "1.0.0", [features(usual(seed)) for seed in range(30)], 99)


@pytest.mark.slow
def test_few_usual_scans_are_unlike_the_reference(reference):
    unlike = sum(is_unlike(reference, usual(seed)) for seed in range(100, 115))

    assert unlike <= 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda scan: degrade.add_noise(scan.hu, 80, 1),
        lambda scan: degrade.blur(scan.hu, scan.spacing_mm, 5),
        lambda scan: scan.hu + 40,
        lambda scan: np.where(scan.hu > -200, scan.hu * 1.3, scan.hu),
    ],
    ids=["noise", "blur", "HU + 40", "contrast"],
)
def test_scans_of_another_kind_are_unlike_the_reference(reference, change):
    unlike = [is_unlike(reference, scan.but(hu=change(scan))) for scan in map(usual, range(200, 203))]

    assert all(unlike)
