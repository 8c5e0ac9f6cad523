"""Hours: parts of the day, over midnight too."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.jobs.hours import Hours

TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("08:00-18:00", (8, 0), True),
        ("08:00-18:00", (18, 0), False),
        ("19:00-06:30", (23, 59), True),
        ("19:00-06:30", (6, 29), True),
        ("19:00-06:30", (6, 30), False),
        ("19:00-06:30", (12, 0), False),
        ("00:00-00:00", (13, 0), True),
        (" 19:00-06:30 ", (2, 0), True),
    ],
)
def test_hours_hold_their_start_and_not_their_end(text, moment, expected):
    assert Hours.parse(text).contains(datetime.time(*moment)) is expected


@pytest.mark.parametrize("text", ["", "8-18", "08:00", "24:00-01:00", "08:60-09:00", "08:00-18:00x"])
def test_what_is_no_hours_is_refused_with_the_form(text):
    with pytest.raises(ValueError, match="write HH:MM-HH:MM"):
        Hours.parse(text)


@given(start=TIMES, end=TIMES, moment=TIMES)
def test_a_moment_is_either_in_some_hours_or_in_the_rest_of_the_day(start, end, moment):
    if start != end:
        assert Hours(start, end).contains(moment) != Hours(end, start).contains(moment)
