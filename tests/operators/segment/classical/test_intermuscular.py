"""Intermuscular fat: what lies between the muscles is found, and no other tissue loses a voxel to it."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.readings import allowed_of, shells_cm2
from mapnode.phantom import PhantomTissue, TrunkPhantomParameters, build_trunk_phantom
from operators.segment.classical import TrunkTissue, segment_trunk
from operators.segment.classical.parameters import TrunkParameters
from tests.operators.segment.classical.builders import FAT, MUSCLE, ellipse, make_trunk

WITHOUT = replace(TrunkParameters(), intermuscular_low_hu=1.0, intermuscular_high_hu=0.0)
"""No value lies in this window."""


@pytest.fixture(scope="module")
def phantom():
    return build_trunk_phantom(TrunkPhantomParameters(slices=8, spacing_mm=(4.0, 1.5, 1.5), centre_z_mm=-20))


def spacing_of(phantom):
    return tuple(np.linalg.norm(phantom.affine_lps[:3, :3], axis=0))


@pytest.fixture(scope="module")
def found(phantom):
    return segment_trunk(phantom.hu, spacing_of(phantom)).labels


def with_cleft(centre_mm=(62.0, 30.0), half_mm=(10.0, 5.0)):
    """A trunk of ellipses whose left erector spinae has a cleft of fat."""
    trunk = make_trunk()
    cleft = ellipse(trunk.hu.shape, trunk.spacing_mm, centre_mm, *half_mm)
    hu = trunk.hu.copy()
    assert (hu[0][cleft] == MUSCLE).all()
    hu[:, cleft] = FAT
    return trunk, hu, cleft


def test_volume_of_the_phantoms_clefts_is_met(phantom, found):
    truth_ml = phantom.truth_volume_ml["intermuscular_fat"]
    shell_ml = shells_cm2(phantom.truth_labels == PhantomTissue.INTERMUSCULAR_FAT, 1.5).sum() * 0.4

    measured_ml = np.count_nonzero(found == TrunkTissue.IMAT) * 4.0 * 1.5 * 1.5 / 1000

    assert measured_ml == pytest.approx(truth_ml, abs=allowed_of(truth_ml, shell_ml))


def test_nine_tenths_of_the_clefts_are_found_and_of_what_is_found(phantom, found):
    truth = phantom.truth_labels == PhantomTissue.INTERMUSCULAR_FAT

    assert np.mean(found[truth] == TrunkTissue.IMAT) > 0.9
    assert np.mean(truth[found == TrunkTissue.IMAT]) > 0.9


def test_a_trunk_without_fat_between_muscles_has_none():
    trunk = make_trunk()

    labels = segment_trunk(trunk.hu, trunk.spacing_mm).labels

    assert np.count_nonzero(labels == TrunkTissue.IMAT) < 0.002 * np.count_nonzero(labels == TrunkTissue.MUSCLE)


def test_a_cleft_in_one_muscle_is_found_on_its_side():
    trunk, hu, cleft = with_cleft()

    labels = segment_trunk(hu, trunk.spacing_mm).labels

    assert np.mean(labels[:, cleft] == TrunkTissue.IMAT) > 0.9
    assert not (labels[:, :, : hu.shape[2] // 2] == TrunkTissue.IMAT).any()


def test_no_other_tissue_loses_or_gains_a_voxel(phantom, found):
    without = segment_trunk(phantom.hu, spacing_of(phantom), WITHOUT).labels

    assert not (without == TrunkTissue.IMAT).any()
    assert set(np.unique(without[found == TrunkTissue.IMAT])) == {TrunkTissue.OTHER}
    np.testing.assert_array_equal(np.where(found == TrunkTissue.IMAT, TrunkTissue.OTHER, found), without)


def test_marrow_and_the_fat_of_the_canal_are_not_between_muscles(phantom):
    hu = phantom.hu.copy()
    x = phantom.affine_lps[0, 3] + 1.5 * np.arange(hu.shape[2])
    y = phantom.affine_lps[1, 3] + 1.5 * np.arange(hu.shape[1])
    canal = ((y - 59) / 7)[:, None] ** 2 + (x / 10)[None, :] ** 2 < 1
    hu[:, canal] = -90

    labels = segment_trunk(hu, spacing_of(phantom)).labels

    assert not (labels[:, canal] == TrunkTissue.IMAT).any()


@pytest.mark.parametrize("pixel_mm", [0.75, 3.0])
def test_half_and_double_resolution_keep_the_volume_within_half_a_pixel_of_its_outline(pixel_mm):
    other = build_trunk_phantom(TrunkPhantomParameters(slices=4, spacing_mm=(4.0, pixel_mm, pixel_mm), centre_z_mm=-20))
    truth_ml = other.truth_volume_ml["intermuscular_fat"]
    shell_ml = shells_cm2(other.truth_labels == PhantomTissue.INTERMUSCULAR_FAT, pixel_mm).sum() * 0.4

    labels = segment_trunk(other.hu, spacing_of(other)).labels

    measured_ml = np.count_nonzero(labels == TrunkTissue.IMAT) * 4.0 * pixel_mm**2 / 1000
    assert measured_ml == pytest.approx(truth_ml, abs=allowed_of(truth_ml, shell_ml))


def test_noise_of_20_hu_changes_the_volume_by_less_than_a_tenth(phantom, found):
    noisy = phantom.hu + np.random.default_rng(3).normal(0, 20, phantom.hu.shape)

    labels = segment_trunk(noisy.astype(np.float32), spacing_of(phantom)).labels

    assert np.count_nonzero(labels == TrunkTissue.IMAT) == pytest.approx(
        np.count_nonzero(found == TrunkTissue.IMAT), rel=0.1
    )
