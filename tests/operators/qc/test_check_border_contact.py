"""CheckBorderContact: a segment that the images cut asks for caution."""

from dataclasses import replace

import numpy as np

from operators.qc.check_border_contact import check_border_contact
from tests.builders import make_affine, make_volume
from tests.operators.measure.test_measure_shapes import regions_of
from tests.segmented import SHAPE, blob, make_hu, make_study, read


def example(tmp_path):
    volume, regions = read(make_study(tmp_path))
    return None, {"volume": volume, "label_map": regions}


def test_a_segment_that_reaches_the_border_is_named_with_the_sides():
    mask = blob(centre=(1, 11, 1))

    (finding,) = check_border_contact(make_volume(make_hu()), regions_of(mask)).findings

    assert finding.code == "touches_border"
    assert finding.message.startswith("Bone: reaches the border of the field of view (right, feet)")


def test_segments_inside_ask_for_nothing():
    assert check_border_contact(make_volume(make_hu()), regions_of(blob())).findings == ()
    assert check_border_contact(make_volume(make_hu()), regions_of(np.zeros(SHAPE, bool))).findings == ()


def test_a_segment_that_padding_cuts_is_named():
    padding = np.zeros(SHAPE, bool)
    padding[:, :, :6] = True
    beside, apart = blob() & ~padding, blob() & ~np.roll(padding, 1, axis=2)
    volume = replace(make_volume(make_hu()), padding=padding)

    (finding,) = check_border_contact(volume, regions_of(beside)).findings
    assert "(end of what was reconstructed)" in finding.message
    assert check_border_contact(volume, regions_of(apart)).findings == ()


def test_a_segment_that_the_reconstructed_circle_cuts_is_named():
    shape = (3, 40, 40)
    places = (np.arange(40) - 19.5) ** 2
    outside = np.broadcast_to(np.sqrt(places[:, None] + places) > 20, shape)
    hu = np.where(outside, -2000, np.random.default_rng(1).normal(0, 9, shape)).astype(np.int16)
    affine = make_affine(spacing_mm=(3.0, 0.8, 0.8))
    volume = make_volume(hu, affine)
    cut, inside = np.zeros((2, *shape), dtype=bool)
    cut[1, 5:15, 5:15] = True
    inside[1, 10:20, 10:20] = True

    (finding,) = check_border_contact(volume, regions_of(cut & ~outside, affine)).findings
    assert "(end of what was reconstructed)" in finding.message
    assert check_border_contact(volume, regions_of(inside, affine)).findings == ()
