"""AgreedHeader: times as DICOM writes them, and values on which slices agree."""

from datetime import datetime, timedelta

import pytest
from pydicom import Dataset

from operators.core.errors import InputRefused
from operators.preprocess.agreed import AgreedHeader, PrivateAttribute

PRIVATE = PrivateAttribute(0x0009, "SOMEONE", 0x0D, "Thing")


def header_of(*datasets):
    return AgreedHeader(datasets, tuple(f"1.2.{index}" for index in range(len(datasets))))


def with_series_time(text):
    dataset = Dataset()
    dataset.SeriesDate, dataset.SeriesTime = "20241231", text
    return dataset


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0930", datetime(2024, 12, 31, 9, 30)),
        ("093015", datetime(2024, 12, 31, 9, 30, 15)),
        ("093015.5", datetime(2024, 12, 31, 9, 30, 15, 500_000)),
        ("235959.999999", datetime(2024, 12, 31, 23, 59, 59, 999_999)),
        # A leap second is the first second of the next minute.
        ("235960", datetime(2025, 1, 1)),
    ],
)
def test_time_is_read_from_minutes_on(text, expected):
    assert header_of(with_series_time(text)).moment("SeriesDate", "SeriesTime") == expected


@pytest.mark.parametrize("text", ["09", "9:30", "09:30:15", "240000", "096000", "093061", "0930155", "093015.1234567"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputRefused, match=r"SeriesTime .* is no time from minutes on"):
        header_of(Dataset()).time(text, "SeriesTime (0008,0031)")


@pytest.mark.parametrize(
    ("text", "utc_offset", "expected"),
    [
        ("202412310930", None, datetime(2024, 12, 31, 9, 30)),
        ("20241231093015.25", "+0100", datetime(2024, 12, 31, 9, 30, 15, 250_000)),
        ("20241231093015.25-0500", "-0500", datetime(2024, 12, 31, 9, 30, 15, 250_000)),
    ],
)
def test_date_time_is_local(text, utc_offset, expected):
    assert header_of(Dataset()).date_time(text, "DT", utc_offset) == expected


@pytest.mark.parametrize("text", ["20241231", "2024123109", "20241331093015", "20241231093015+0200", "soon"])
def test_what_is_no_local_date_time_is_refused(text):
    with pytest.raises(InputRefused, match=r"^invalid_attribute: DT "):
        header_of(Dataset()).date_time(text, "DT", "+0100")


def test_moments_are_those_of_each_slice():
    header = header_of(with_series_time("0930"), with_series_time("0931"))

    first, second = header.moments("SeriesDate", "SeriesTime")

    assert second - first == timedelta(minutes=1)


def test_refusal_names_each_instance_once():
    with pytest.raises(InputRefused) as refused:
        AgreedHeader((Dataset(), Dataset(), Dataset()), ("1.2.3", "1.2.3", "1.2.4")).text("Units")

    assert refused.value.findings[0].instances == ("1.2.3", "1.2.4")


def test_private_attribute_of_a_block_that_is_not_the_first_is_found():
    dataset = Dataset()
    dataset.private_block(0x0009, "SOMEONE ELSE", create=True).add_new(0x0D, "LO", "theirs")
    dataset.private_block(0x0009, "SOMEONE", create=True).add_new(0x0D, "LO", "ours ")

    assert header_of(dataset).private(PRIVATE) == "ours"


def test_private_attribute_that_is_not_there_is_none():
    assert header_of(Dataset()).private(PRIVATE) is None
