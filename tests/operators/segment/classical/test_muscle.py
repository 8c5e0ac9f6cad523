import numpy as np
import pytest

from operators.segment.classical import TrunkParameters
from operators.segment.classical.muscle import (
    SoftPart,
    TrunkFields,
    muscle_limit,
    muscle_zone,
    paraspinal_zone,
    part_soft_tissue,
    smooth_hu,
)
from operators.segment.classical.spine import track_spine
from tests.operators.segment.classical.builders import ellipse, make_trunk

PARAMETERS = TrunkParameters()


@pytest.fixture(scope="module")
def trunk():
    return make_trunk()


@pytest.fixture(scope="module")
def fields(trunk):
    shape, spacing_mm = trunk.hu.shape, trunk.spacing_mm
    cavity = np.broadcast_to(ellipse(shape, spacing_mm, (-10.0, 0.0), 64.0, 122.0), shape)
    deep = np.broadcast_to(ellipse(shape, spacing_mm, (-10.0, 0.0), 44.0, 100.0), shape)
    return TrunkFields(
        hu=trunk.hu.astype(np.float32),
        bone=trunk.truth == 2,
        fascia=np.broadcast_to(ellipse(shape, spacing_mm, (0.0, 0.0), 89.0, 139.0), shape),
        inside_mm=np.where(deep, 20.0, np.where(cavity, 3.0, -3.0)).astype(np.float32),
        sharp=np.ones(shape, np.float32),
        track=track_spine(trunk.truth == 2, trunk.truth > 0, spacing_mm, PARAMETERS),
        spacing_mm=spacing_mm,
    )


@pytest.fixture(scope="module")
def parts(fields):
    return part_soft_tissue(fields, PARAMETERS)


def _middle(trunk, centre_mm):
    return ellipse(trunk.hu.shape, trunk.spacing_mm, centre_mm, 6.0, 6.0)


def test_every_part_is_found_where_it_lies(trunk, parts):
    assert (parts[6][_middle(trunk, (66.0, 32.0))] == SoftPart.PARASPINAL).all()
    assert (parts[6][_middle(trunk, (22.0, -40.0))] == SoftPart.PSOAS).all()
    assert (parts[6][_middle(trunk, (0.0, 131.0))] == SoftPart.WALL).all()
    assert (parts[6][_middle(trunk, (-40.0, 20.0))] == SoftPart.ORGAN).all()


def test_organs_are_no_muscle(trunk, fields, parts):
    zone = muscle_zone(fields, parts, PARAMETERS)

    assert not zone[6][_middle(trunk, (-40.0, 20.0))].any()
    assert zone[(trunk.truth == 5)].mean() > 0.93


def test_limit_follows_the_patients_own_muscle(fields, parts):
    low = muscle_limit(fields.hu - 30.0, parts, fields.bone, PARAMETERS)
    high = muscle_limit(fields.hu, parts, fields.bone, PARAMETERS)

    assert high - low == 30.0
    assert high == 50.0 + PARAMETERS.muscle_above_median_hu


def test_without_back_muscle_the_window_is_the_limit(fields, parts):
    assert muscle_limit(fields.hu, np.zeros_like(parts), fields.bone, PARAMETERS) == PARAMETERS.muscle_high_hu


def test_bone_does_not_brighten_the_muscle_beside_it(trunk, fields):
    smooth = smooth_hu(fields.hu, fields.bone, fields.spacing_mm, PARAMETERS)

    assert smooth[trunk.truth == 5].max() <= 50.5


def test_back_holds_what_lies_behind_its_muscles_and_no_cavity(trunk, fields, parts):
    zone = paraspinal_zone(fields, parts, PARAMETERS)

    assert zone[6][ellipse(trunk.hu.shape, trunk.spacing_mm, (85.0, 0.0), 2.0, 20.0)].all()
    assert not zone[6][ellipse(trunk.hu.shape, trunk.spacing_mm, (-30.0, 0.0), 30.0, 100.0)].any()
