"""CheckLaterality: a side that was stated against the one that was computed."""

from dataclasses import replace

import pytest
from pydicom.sr.coding import Code

from operators.core import codes
from operators.core.measurements import DerivedValue, Quantity
from operators.core.quality import Verdict
from operators.core.segmented_regions import SegmentedObject, SegmentedRegions
from operators.qc.check_laterality import check_laterality
from operators.qc.measure_laterality import measure_laterality
from tests.builders import ALGORITHM
from tests.operators.core.test_segmented_regions import region_of
from tests.segmented import blob, make_study, read

LEFT, RIGHT, BOTH = codes.LEFT, codes.RIGHT, Code("51440002", "SCT", "Right and left")
OLD_LEFT = Code("G-A101", "SRT", "Left")


def example(tmp_path):
    volume, regions = read(make_study(tmp_path))
    return None, {"label_map": regions, "derived": measure_laterality(volume, regions)}


def checked(*pairs):
    """The report on segments with a stated and a computed side each."""
    region = region_of(blob())
    regions, derived = [], []
    for number, (stated, computed) in enumerate(pairs):
        name = f"segment_{number}"
        regions.append(
            replace(region, segment=replace(region.segment, name=name, label=f"Organ {number}", modifier=stated))
        )
        quantity = Quantity(f"{name}_left_of_middle_mm", "mm", codes.DISTANCE, codes.MILLIMETRE)
        derived.append(DerivedValue(quantity, "", "", (name,), 1.0, side=computed))
    objects = (SegmentedObject(None, "BINARY", tuple(regions)),)
    return check_laterality(SegmentedRegions(objects, region.grid, ALGORITHM), tuple(derived))


@pytest.mark.parametrize("stated", [LEFT, OLD_LEFT])
def test_a_segment_on_the_other_side_than_stated_asks_for_caution_and_is_named(stated):
    report = checked((stated, RIGHT))

    assert report.verdict is Verdict.CAUTION
    assert report.findings[0].message.startswith(
        "Organ 0: the segmentation says that it is of the left side, and it lies"
    )


def test_several_on_the_other_side_and_none_on_their_own_are_held():
    assert checked((LEFT, RIGHT), (RIGHT, LEFT), (None, LEFT), (LEFT, None)).verdict is Verdict.HOLD


def test_one_that_lies_as_stated_shows_that_the_mask_is_not_mirrored():
    report = checked((LEFT, RIGHT), (RIGHT, LEFT), (RIGHT, RIGHT))

    assert report.verdict is Verdict.CAUTION
    assert len(report.findings) == 2


@pytest.mark.parametrize("pair", [(LEFT, LEFT), (None, RIGHT), (RIGHT, None), (BOTH, LEFT)])
def test_what_cannot_contradict_is_no_finding(pair):
    assert checked(pair).findings == ()
