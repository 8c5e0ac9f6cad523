"""Trunk tissues: one segment for each tissue that the engine labels."""

import itertools

from operators.segment.classical.trunk import TrunkTissue
from operators.segment.trunk_tissues import TRUNK_SEGMENTS

BODY, *TISSUES = TRUNK_SEGMENTS


def test_segments_are_numbered_from_1_and_named_once():
    assert [segment.number for segment in TRUNK_SEGMENTS] == [1, 2, 3, 4, 5, 6]
    for attribute in ("name", "label", "colour", "labels"):
        assert len({getattr(segment, attribute) for segment in TRUNK_SEGMENTS}) == 6


def test_body_takes_in_every_label_of_the_engine():
    assert set(BODY.labels) == set(TrunkTissue)


def test_tissues_exclude_each_other():
    for first, second in itertools.combinations(TISSUES, 2):
        assert not set(first.labels) & set(second.labels)


def test_segments_mean_the_labels_of_the_engine():
    meaning = {segment.name: segment.labels for segment in TISSUES}

    assert meaning == {
        "bone": (TrunkTissue.BONE,),
        "subcutaneous_fat": (TrunkTissue.SAT,),
        "visceral_fat": (TrunkTissue.VAT,),
        "skeletal_muscle": (TrunkTissue.MUSCLE,),
        "intermuscular_fat": (TrunkTissue.IMAT,),
    }


def test_no_two_segments_have_the_same_code_and_region():
    assert len({(s.type.value, s.region and s.region.value) for s in TRUNK_SEGMENTS}) == 6
