import numpy as np

from operators.segment.classical import TrunkParameters
from operators.segment.classical.fascia import find_fascia
from operators.segment.classical.spine import track_spine
from tests.operators.segment.classical.builders import FAT, MUSCLE, make_trunk

PARAMETERS = TrunkParameters()


def _fascia(trunk):
    body = trunk.truth > 0
    track = track_spine(trunk.truth == 2, body, trunk.spacing_mm, PARAMETERS)
    return find_fascia(trunk.hu.astype(np.float32), body, track, trunk.spacing_mm, PARAMETERS)


def test_fascia_is_the_outside_of_the_muscle():
    trunk = make_trunk()

    np.testing.assert_array_equal(_fascia(trunk), ~np.isin(trunk.truth, (0, 3)) & _inside_skin(trunk))


def test_surface_does_not_sink_into_the_linea_alba():
    trunk = make_trunk()
    trunk.hu[:, 10:24, 54:66][trunk.truth[:, 10:24, 54:66] == 5] = FAT

    assert _fascia(trunk)[:, 18, 60].all()


def test_fascia_of_the_back_follows_the_furrow_to_the_spinous_processes():
    trunk = make_trunk()
    trunk.hu[:, 70:76, 57:63] = FAT

    fascia = _fascia(trunk)

    assert not fascia[:, 71:76, 58:62].any()
    assert fascia[:, 69, 60].all()


def test_fat_between_muscles_of_the_back_is_inside():
    trunk = make_trunk()
    trunk.hu[:, 64:68, 50:54] = FAT

    assert _fascia(trunk)[:, 64:68, 50:54].all()


def test_fat_of_wasted_muscles_stays_inside_though_their_fascia_is_too_thin_to_be_seen():
    trunk, whole = make_trunk(), _fascia(make_trunk())
    columns_mm = np.abs(np.arange(trunk.hu.shape[2]) - 60) * trunk.spacing_mm[2]
    behind = np.arange(trunk.hu.shape[1])[:, None] > 60
    wasted = (trunk.truth == 5) & behind & (columns_mm > PARAMETERS.furrow_half_width_mm) & (columns_mm <= 22)
    trunk.hu[wasted] = FAT

    # The closing, too, cuts the corners of such a gap.
    assert np.mean(_fascia(trunk)[wasted & whole]) > 0.85


def test_a_vessel_in_the_fat_is_outside():
    trunk = make_trunk()
    trunk.hu[:, 11, 60] = MUSCLE

    assert not _fascia(trunk)[:, 11, 60].any()


def test_skin_is_never_inside():
    trunk = make_trunk()

    assert not _fascia(trunk)[:, :9].any()


def _inside_skin(trunk):
    rows = np.arange(trunk.truth.shape[1])[:, None] - (trunk.truth.shape[1] - 1) / 2
    columns = np.arange(trunk.truth.shape[2])[None, :] - (trunk.truth.shape[2] - 1) / 2
    return (rows * 3.0 / 98.0) ** 2 + (columns * 3.0 / 148.0) ** 2 <= 1.0
