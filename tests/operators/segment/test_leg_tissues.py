"""Leg tissues: four segments a leg, on its own side, that exclude each other."""

import itertools

from pydicom.sr.codedict import codes

from operators.segment.classical.legs import RIGHT_LEG, LegTissue
from operators.segment.leg_tissues import LEG_SEGMENTS


def test_segments_are_numbered_from_1_and_named_once():
    assert [segment.number for segment in LEG_SEGMENTS] == list(range(1, 9))
    for attribute in ("name", "label", "colour", "labels"):
        assert len({getattr(segment, attribute) for segment in LEG_SEGMENTS}) == 8


def test_segments_mean_the_labels_of_the_engine():
    meaning = {segment.name: segment.labels for segment in LEG_SEGMENTS}

    left = {
        "leg_bone_left": LegTissue.BONE,
        "leg_subcutaneous_fat_left": LegTissue.SAT,
        "leg_intermuscular_fat_left": LegTissue.IMAT,
        "leg_skeletal_muscle_left": LegTissue.MUSCLE,
    }
    right = {name.replace("left", "right"): label + RIGHT_LEG for name, label in left.items()}
    assert meaning == {name: (label,) for name, label in {**left, **right}.items()}


def test_side_is_coded():
    sides = {segment.name.rpartition("_")[2]: segment.modifier for segment in LEG_SEGMENTS}

    assert sides == {"left": codes.SCT.Left, "right": codes.SCT.Right}


def test_tissues_exclude_each_other():
    for first, second in itertools.combinations(LEG_SEGMENTS, 2):
        assert not set(first.labels) & set(second.labels)
