"""Which texts are numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.rules.numbers import as_number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_survives_its_text(value):
    assert as_number(repr(value)) == value


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1_000", "0x10", "045Y", "5 mm", "1,5", "1e999", "٣", " 5", "1.2.3", "+"]
)
def test_what_dicom_does_not_write_as_a_number_is_none(text):
    assert as_number(text) is None


@pytest.mark.parametrize(("text", "value"), [("+5", 5), ("5.", 5), (".5", 0.5), ("-1E2", -100), ("007", 7)])
def test_all_forms_of_a_decimal_string_are_numbers(text, value):
    assert as_number(text) == value
