"""ReferenceSet: distances are those of their definitions, and thresholds let through what belongs to the set."""

import json

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from operators.core.reference_set import (
    EXPLAINED_VARIANCE,
    LEAST_STUDIES,
    NEIGHBOURS,
    ReferenceSet,
    ReferenceSetError,
    build_reference_set,
    read_reference_set,
)

NAMES = ("a", "b", "c")


def make_rows(count=60, seed=1):
    """Three features, the third nearly the sum of the others."""
    rng = np.random.default_rng(seed)
    free = rng.normal([10.0, -5.0], [2.0, 3.0], (count, 2))
    return np.column_stack([free, free.sum(axis=1) + rng.normal(0, 1.0, count)])


def as_scans(rows):
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in rows]


@pytest.fixture(scope="module")
def reference():
    return build_reference_set("app", "1.0.0", as_scans(make_rows()), 99)


def test_scans_like_those_of_the_set_are_within_its_thresholds(reference):
    fresh = as_scans(make_rows(200, seed=2))

    distances = [reference.distances(scan) for scan in fresh]

    outside = sum(
        d.mahalanobis > reference.thresholds.mahalanobis or d.neighbour > reference.thresholds.neighbour
        for d in distances
    )
    assert outside <= 0.1 * len(fresh)


@pytest.mark.parametrize(
    "scan", [{"a": 30, "b": -5, "c": 25}, {"a": 10, "b": 20, "c": 30}, {"a": 12, "b": -2, "c": -2}]
)
def test_a_scan_far_away_or_against_the_correlation_is_outside(reference, scan):
    distances = reference.distances(scan)

    assert distances.mahalanobis > reference.thresholds.mahalanobis


def test_neighbour_distance_is_the_kth_smallest_euclidean_distance(reference):
    """SciPy is the judge."""
    rows, scan = make_rows(), np.array([[14.0, -3.0, 9.0]])
    scaled = [(values - rows.mean(axis=0)) / rows.std(axis=0) for values in (rows, scan)]

    expected = np.sort(cdist(scaled[1], scaled[0])[0])[NEIGHBOURS - 1]

    assert reference.distances(as_scans(scan)[0]).neighbour == pytest.approx(expected)


def test_mahalanobis_distance_is_that_of_the_covariance_where_all_components_count():
    """Of independent features all components are kept; the distance is then x C^-1 x, numpy's covariance as judge."""
    rows = np.random.default_rng(4).normal(size=(200, 3)) * [1.0, 5.0, 20.0]
    reference = build_reference_set("app", "1.0.0", as_scans(rows), 99)
    scan = np.array([2.0, -6.0, 30.0])

    away = scan - rows.mean(axis=0)
    expected = np.sqrt(away @ np.linalg.inv(np.cov(rows.T)) @ away)

    assert reference.distances(as_scans([scan])[0]).mahalanobis == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("scans", "features", "seed"), [(20, 3, 1), (25, 40, 2), (60, 12, 3)])
def test_distances_are_those_of_scikit_learn(scans, features, seed):
    """PCA with whitening, and nearest neighbours; fewer scans than features as well, and features that go together."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(scans, features)) @ rng.normal(size=(features, features))
    named = [{str(number): float(value) for number, value in enumerate(row)} for row in rows]
    scan = named[0] | {"0": named[0]["0"] + 5.0}
    known, asked = (
        (values - rows.mean(axis=0)) / rows.std(axis=0) for values in (rows, np.array([list(scan.values())]))
    )

    judged = PCA(n_components=EXPLAINED_VARIANCE, svd_solver="full", whiten=True).fit(known).transform(asked)
    nearest, _ = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(known).kneighbors(asked)
    distances = build_reference_set("app", "1.0.0", named, 99).distances(scan)

    assert distances.mahalanobis == pytest.approx(np.linalg.norm(judged), rel=1e-9)
    assert distances.neighbour == pytest.approx(nearest[0, -1], rel=1e-9)


def test_a_set_without_any_variety_has_no_distance_to_itself():
    scans = [dict.fromkeys(NAMES, 7.0)] * LEAST_STUDIES

    distances = build_reference_set("app", "1.0.0", scans, 99).distances(scans[0])

    assert (distances.mahalanobis, distances.neighbour) == (0.0, 0.0)


def test_the_order_of_scans_and_units_of_features_change_nothing():
    rows, scan = make_rows(), np.array([14.0, -3.0, 9.0])
    factors = np.array([1000.0, 0.01, 1.0])
    reference = build_reference_set("app", "1.0.0", as_scans(rows), 95)

    other = build_reference_set("app", "1.0.0", as_scans(rows[::-1] * factors), 95)

    for one, two in (
        (reference.thresholds, other.thresholds),
        (reference.distances(as_scans([scan])[0]), other.distances(as_scans([scan * factors])[0])),
    ):
        assert two.mahalanobis == pytest.approx(one.mahalanobis, rel=1e-6)
        assert two.neighbour == pytest.approx(one.neighbour, rel=1e-6)


def test_features_that_a_scan_does_not_show_or_that_never_vary_count_nothing():
    scans = as_scans(make_rows(30))
    for index, scan in enumerate(scans):
        scan["constant"] = 7.0
        scan["rare"] = None if index else 3.0
    reference = build_reference_set("app", "1.0.0", scans, 95)

    shown, hidden = (reference.distances(scans[3] | {"constant": value, "rare": None}) for value in (7.0, None))

    assert shown == hidden


def test_the_feature_that_differs_most_is_named_first(reference):
    name, value = next(iter(reference.deviations({"a": 10, "b": 40, "c": 5}).items()))

    assert name == "b"
    assert value > 10


def test_too_few_scans_make_no_set():
    with pytest.raises(ReferenceSetError, match=f"at least {LEAST_STUDIES} scans, there are 19"):
        build_reference_set("app", "1.0.0", as_scans(make_rows(19)), 99)


def test_a_set_survives_its_file(reference, tmp_path):
    path = tmp_path / "app.json"
    path.write_text(reference.model_dump_json())

    assert read_reference_set(path) == reference


@pytest.mark.parametrize("content", ["", "{}", '{"app": "app"}', "no JSON"])
def test_a_file_that_is_no_set_is_refused(tmp_path, content):
    path = tmp_path / "app.json"
    path.write_text(content)

    with pytest.raises(ReferenceSetError, match="is no reference set"):
        read_reference_set(path)
    with pytest.raises(ReferenceSetError, match="No such file"):
        read_reference_set(tmp_path / "absent.json")


def test_a_table_with_gaps_is_refused(reference):
    document = json.loads(reference.model_dump_json())
    document["rows"][3] = document["rows"][3][:2]

    with pytest.raises(ValueError, match="one value a feature"):
        ReferenceSet.model_validate(document)
