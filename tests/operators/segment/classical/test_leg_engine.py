"""LegEngine: left is the patient's left however the scan was stored, and landmarks are slices of the volume."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mapnode.phantom.legs import LegPhantomParameters, build_leg_phantom
from operators.core.errors import GeometryError
from operators.core.volume import Volume
from operators.segment.classical.femur import Femur
from operators.segment.classical.leg_engine import PELVIS, LegEngine, landmarks_of
from operators.segment.classical.leg_parameters import LegParameters
from operators.segment.classical.legs import LegSegmentation
from operators.segment.leg_tissues import LEG_SEGMENTS
from tests.builders import CORONAL, make_affine

ENGINE = LegEngine(version="1.2.3")
LEGS = LegPhantomParameters(slices=8, spacing_mm=(5.0, 4.0, 4.0), centre_z_mm=230.0)


def make_legs(flips=()) -> Volume:
    """The phantom as it is stored with some of its axes backwards."""
    phantom = build_leg_phantom(LEGS)
    affine = phantom.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (phantom.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(np.flip(phantom.hu, flips)), affine, "1.2", ())


def silent(_fraction, _step=""):
    """Nobody listens."""


@pytest.fixture(scope="module")
def straight():
    return ENGINE.segment(make_legs(), silent)


@pytest.mark.parametrize("flips", [f for n in (1, 2, 3) for f in itertools.combinations(range(3), n)])
def test_storage_orientation_does_not_change_a_label(straight, flips):
    # (1, 2) is how a prone patient is stored, (0, 2) one who lies feet first.
    volume = make_legs(flips)

    label_map = ENGINE.segment(volume, silent)

    assert np.array_equal(np.flip(label_map.array, flips), straight.array)
    assert np.array_equal(label_map.affine_lps, volume.affine_lps)


@pytest.mark.parametrize("segment", LEG_SEGMENTS, ids=lambda segment: segment.name)
def test_segments_of_a_side_lie_on_that_side_of_the_patient(straight, segment):
    _, _, columns = np.nonzero(straight.mask(segment))
    x_mm = straight.affine_lps[0, 3] + straight.affine_lps[0, 2] * columns

    assert columns.size > 0
    assert (x_mm > 0).all() if segment.modifier.meaning == "Left" else (x_mm < 0).all()


def test_padding_is_air():
    volume = make_legs()
    padding = volume.array < -900
    values = np.where(padding, 3000, volume.array).astype(np.int16)

    label_map = ENGINE.segment(replace(volume, array=values, padding=padding), silent)

    assert np.array_equal(label_map.array, ENGINE.segment(make_legs(), silent).array)


def test_landmarks_are_fractions_of_the_length_from_the_knee():
    found = LegSegmentation(np.zeros((1, 1, 1), np.uint8), {"left": Femur(10.0, 110.0), "right": Femur(12.0, 112.0)})

    assert landmarks_of(found) == {
        "femur_25_left": 35,
        "femur_50_left": 60,
        "femur_75_left": 85,
        "femur_25_right": 37,
        "femur_50_right": 62,
        "femur_75_right": 87,
    }


def test_fractions_that_lie_in_the_pelvis_are_left_out():
    found = LegSegmentation(np.zeros((1, 1, 1), np.uint8), {"left": Femur(10.0, 110.0)}, pelvis_slice=70)

    assert landmarks_of(found) == {"femur_25_left": 35, "femur_50_left": 60, PELVIS: 70}


def test_digest_changes_with_every_constant_and_with_the_version():
    digests = {
        ENGINE.algorithm.digest,
        LegEngine("1.2.4").algorithm.digest,
        LegEngine("1.2.3", LegParameters(skin_mm=2.1)).algorithm.digest,
    }

    assert len(digests) == 3


def test_slices_that_are_not_axial_are_refused():
    with pytest.raises(GeometryError, match="axial"):
        ENGINE.segment(Volume(np.zeros((4, 4, 4), np.int16), make_affine(CORONAL), "1.2", ()), silent)
