import numpy as np
import pytest

from operators.segment.classical import TrunkParameters, TrunkSegmentationError
from operators.segment.classical.spine import canal_zone, drop_enhanced, track_spine, vertebra_zone
from tests.operators.segment.classical.builders import ellipse, make_trunk

PARAMETERS = TrunkParameters()


def _track(trunk, bone):
    return track_spine(bone, trunk.truth > 0, trunk.spacing_mm, PARAMETERS)


def test_track_follows_the_vertebral_body_not_the_arch():
    trunk = make_trunk()

    track = _track(trunk, trunk.truth == 2)

    middle = (trunk.truth.shape[1] - 1) / 2 + 22.0 / 3.0
    np.testing.assert_allclose(track.rows, middle, atol=1.0)
    np.testing.assert_allclose(track.columns, (trunk.truth.shape[2] - 1) / 2, atol=1.0)
    assert (track.radii_mm > 14.0).all()


def test_discs_take_the_track_of_their_neighbours():
    trunk = make_trunk()
    bone = trunk.truth == 2
    bone[4:7] = False

    track = _track(trunk, bone)

    assert np.ptp(track.rows) == 0.0


def test_a_volume_without_spine_is_refused():
    trunk = make_trunk(slices=3)

    with pytest.raises(TrunkSegmentationError, match="No spine was found"):
        _track(trunk, np.zeros(trunk.truth.shape, bool))


def test_zone_covers_disc_and_canal_but_no_back_muscle():
    trunk = make_trunk()
    zone = vertebra_zone(_track(trunk, trunk.truth == 2), trunk.truth.shape, trunk.spacing_mm, PARAMETERS)

    canal = ellipse(trunk.truth.shape, trunk.spacing_mm, (49.0, 0.0), 8.0, 11.0)
    erector = ellipse(trunk.truth.shape, trunk.spacing_mm, (60.0, 35.0), 12.0, 15.0)
    assert zone[5][canal].mean() > 0.9
    assert not zone[5][erector].any()


def test_canal_lies_behind_the_vertebral_bodies():
    trunk = make_trunk()

    zone = canal_zone(_track(trunk, trunk.truth == 2), trunk.truth.shape, trunk.spacing_mm, PARAMETERS)

    canal = ellipse(trunk.truth.shape, trunk.spacing_mm, (49.0, 0.0), 8.0, 11.0)
    marrow = ellipse(trunk.truth.shape, trunk.spacing_mm, (22.0, 0.0), 14.0, 20.0)
    assert zone[5][canal].mean() > 0.9
    assert not zone[5][marrow].any()


def test_enhanced_kidney_is_no_bone_and_a_rib_is():
    trunk = make_trunk()
    bone = trunk.truth == 2
    kidney = ellipse(trunk.truth.shape, trunk.spacing_mm, (10.0, 80.0), 20.0, 15.0)
    rib = ellipse(trunk.truth.shape, trunk.spacing_mm, (0.0, 130.0), 12.0, 5.0)
    inside_mm = np.where(ellipse(trunk.truth.shape, trunk.spacing_mm, (-10.0, 0.0), 64.0, 122.0), 20.0, -5.0)

    kept = drop_enhanced(
        bone | kidney | rib,
        np.broadcast_to(inside_mm, bone.shape).astype(np.float32),
        _track(trunk, bone),
        trunk.spacing_mm,
        PARAMETERS,
    )

    np.testing.assert_array_equal(kept, bone | rib)
