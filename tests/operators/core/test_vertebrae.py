"""Vertebrae: known by code or label, and found in a label map wherever they lie."""

from dataclasses import replace

import numpy as np

from operators.core.catalogue import entry
from operators.core.levels import VERTEBRAE
from operators.core.vertebrae import vertebra_of, vertebrae_in
from tests.builders import make_label_map, make_volume


def test_every_vertebra_of_the_trunk_is_known_by_code_and_label():
    for level, known in VERTEBRAE.items():
        assert vertebra_of(known.segment(1, (1,))) == level
    assert len({known.type.value for known in VERTEBRAE.values()}) == 17


def test_a_lesion_in_a_vertebra_is_no_vertebra():
    lesion = replace(entry("kidney_cyst_left").segment(1, (1,)), region=VERTEBRAE["vertebra_l3"].type)

    assert vertebra_of(lesion) is None


def test_a_label_map_gives_each_vertebra_that_has_a_voxel_with_all_its_labels_from_head_to_feet():
    labels = np.zeros(make_volume().array.shape, np.uint8)
    labels[1:3, 2:4, 1:3], labels[4, 0, 0], labels[6:8, 3, 2] = 2, 7, 5
    segments = (
        entry("vertebrae_L3").segment(1, (2, 7)),
        entry("bone").segment(2, (9,)),
        entry("vertebrae_L2").segment(3, (5,)),
        entry("vertebrae_L1").segment(4, (200,)),
    )

    found = list(vertebrae_in(make_label_map(make_volume(), labels, segments=segments)))

    assert [each.level for each in found] == ["vertebra_l2", "vertebra_l3"]
    for each, value in zip(found, ((5,), (2, 7)), strict=True):
        whole = np.zeros(labels.shape, bool)
        whole[each.region.box.slices] = each.region.box.mask
        np.testing.assert_array_equal(whole, np.isin(labels, value))
