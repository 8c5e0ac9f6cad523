"""TrunkEngine: the engine sees head, back, left; the label map lies on the volume's own grid."""

import dataclasses
import itertools

import numpy as np
import pytest

from mapnode.phantom.trunk import TrunkPhantomParameters, build_trunk_phantom
from operators.core.errors import GeometryError, SegmentationError
from operators.core.volume import Volume
from operators.segment.classical.parameters import TrunkParameters
from operators.segment.classical.trunk_engine import ILIAC_CREST, THORAX, TrunkEngine
from operators.segment.trunk_tissues import TRUNK_SEGMENTS
from tests.builders import CORONAL, make_affine, make_volume

ENGINE = TrunkEngine(version="1.2.3")


def make_phantom_volume(flips=()) -> Volume:
    """The phantom as it is stored with some of its axes backwards."""
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=8, spacing_mm=(5.0, 4.0, 4.0), centre_z_mm=-20))
    affine = phantom.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (phantom.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(np.flip(phantom.hu, flips)), affine, "1.2", ())


def silent(_fraction, _step=""):
    """Nobody listens."""


@pytest.fixture(scope="module")
def straight():
    return ENGINE.segment(make_phantom_volume(), silent)


@pytest.mark.parametrize("flips", [f for n in (1, 2, 3) for f in itertools.combinations(range(3), n)])
def test_storage_orientation_does_not_change_a_label(straight, flips):
    volume = make_phantom_volume(flips)

    label_map = ENGINE.segment(volume, silent)

    assert np.array_equal(np.flip(label_map.array, flips), straight.array)
    assert np.array_equal(label_map.affine_lps, volume.affine_lps)


def test_all_tissues_of_the_phantom_are_found(straight):
    assert all(straight.mask(tissue).any() for tissue in TRUNK_SEGMENTS)
    assert straight.segments is TRUNK_SEGMENTS


@pytest.mark.parametrize(
    ("flips", "expected"), [((), {ILIAC_CREST: 1, THORAX: 6}), ((0,), {ILIAC_CREST: 6, THORAX: 1})]
)
def test_landmarks_are_slices_of_the_volume_as_stored(monkeypatch, flips, expected):
    volume = make_phantom_volume(flips)
    found = dataclasses.make_dataclass("Found", ["labels", "iliac_crest_slice", "thorax_slice"])
    labels = np.zeros(volume.array.shape, np.uint8)
    monkeypatch.setattr(
        "operators.segment.classical.trunk_engine.segment_trunk", lambda *_args, **_kwargs: found(labels, 1, 6)
    )

    assert ENGINE.segment(volume, silent).landmarks == expected


def test_scan_of_the_mid_abdomen_has_no_landmark(straight):
    assert straight.landmarks == {}


def test_volume_that_is_not_axial_is_refused():
    volume = Volume(np.zeros((4, 4, 4), np.int16), make_affine(CORONAL), "1.2", ())

    with pytest.raises(GeometryError, match="axial"):
        ENGINE.segment(volume, silent)


def test_volume_without_a_body_is_a_segmentation_error():
    volume = Volume(np.full((8, 40, 40), -1000, np.int16), make_affine(spacing_mm=(5, 4, 4)), "1.2", ())

    with pytest.raises(SegmentationError):
        ENGINE.segment(volume, silent)


def test_progress_goes_from_0_to_1():
    heard = []

    ENGINE.segment(make_phantom_volume(), lambda fraction, _step: heard.append(fraction))

    assert heard[0] == 0
    assert heard[-1] == 1
    assert heard == sorted(heard)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrunkParameters)])
def test_every_constant_of_the_engine_changes_the_digest(field):
    value = getattr(TrunkParameters(), field)
    changed = dataclasses.replace(TrunkParameters(), **{field: value + 1 if isinstance(value, float) else ()})

    digest = TrunkEngine(version="1.2.3", parameters=changed).algorithm.digest

    assert digest != ENGINE.algorithm.digest


def test_another_version_is_another_algorithm():
    assert TrunkEngine(version="1.2.4").algorithm.digest != ENGINE.algorithm.digest
    assert TrunkEngine(version="1.2.3").algorithm == ENGINE.algorithm


def test_padding_is_no_tissue_whatever_number_stands_for_it():
    phantom = build_trunk_phantom()
    padding = np.zeros(phantom.hu.shape, np.bool_)
    padding[:, :, :20] = True
    plain = make_volume(np.where(padding, np.int16(-1024), phantom.hu), phantom.affine_lps)
    padded = dataclasses.replace(plain, array=np.where(padding, np.int16(0), phantom.hu), padding=padding)

    expected, found = (ENGINE.segment(v, silent).array for v in (plain, padded))

    assert not found[padding].any()
    assert np.array_equal(found, expected)
