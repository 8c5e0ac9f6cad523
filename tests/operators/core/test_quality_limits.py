"""Quality limits: ranges are nested, and both ends belong to them."""

import pytest
from pydantic import ValidationError

from operators.core.quality_limits import InputQuantity, QualityLimits, Range, SegmentLimits, within


@pytest.mark.parametrize(
    ("value", "bounds", "inside"),
    [(1, (1, 2), True), (2, (1, 2), True), (2.1, (1, 2), False), (-9, (None, 0), True), (9, (0, None), True)],
)
def test_bounds_include_their_ends(value, bounds, inside):
    assert within(value, bounds) is inside


@pytest.mark.parametrize(
    "wrong",
    [
        {"usual": (2, 1)},
        {"usual": (None, None)},
        {"usual": (0, 10), "possible": (1, 20)},
        {"usual": (0, 10), "possible": (0, 9)},
        {"usual": (0, 10), "likely": (0, 9)},
    ],
)
def test_a_range_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        Range.model_validate(wrong)


def test_a_share_needs_the_segment_that_it_is_of():
    with pytest.raises(ValidationError, match="come together"):
        SegmentLimits(share=Range(usual=(0, 1)))


def test_a_quantity_that_nobody_measures_is_refused():
    assert QualityLimits.model_validate({"input": {"air_hu": {"usual": [-1030, -950]}}}).input[InputQuantity.AIR_HU]
    with pytest.raises(ValidationError):
        QualityLimits.model_validate({"input": {"weather": {"usual": [0, 1]}}})
