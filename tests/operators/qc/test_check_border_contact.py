"""CheckBorderContact: a segment that the images cut asks for caution."""

import numpy as np

from operators.qc.check_border_contact import check_border_contact
from tests.operators.measure.test_measure_shapes import regions_of
from tests.segmented import SHAPE, blob, make_study, read


def example(tmp_path):
    return None, {"label_map": read(make_study(tmp_path))[1]}


def test_a_segment_that_reaches_the_border_is_named_with_the_sides():
    mask = blob(centre=(1, 11, 1))

    (finding,) = check_border_contact(regions_of(mask)).findings

    assert finding.code == "touches_border"
    assert finding.message.startswith("Bone: reaches the border of the field of view (right, feet)")


def test_segments_inside_ask_for_nothing():
    assert check_border_contact(regions_of(blob())).findings == ()
    assert check_border_contact(regions_of(np.zeros(SHAPE, bool))).findings == ()
