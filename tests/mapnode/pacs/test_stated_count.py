"""Stated count: believed only where statements, instances and their numbers all agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from mapnode.pacs import stated_count

SPIRAL = {"Modality": "CT", "ScanOptions": ["HELICAL MODE", "X"], "AcquisitionNumber": 3}
VOLUME = {"Modality": "MR", "MRAcquisitionType": "3D", "AcquisitionNumber": 1, "NumberOfTemporalPositions": 1}


def header(number, **more):
    made = Dataset()
    made.SOPInstanceUID, made.SeriesInstanceUID, made.InstanceNumber = f"1.2.{number}", "1.2", number
    for keyword, value in more.items():
        setattr(made, keyword, value)
    return made


def series(count, **more):
    return [header(number, **more) for number in range(1, count + 1)]


def pet(count, kind, **more):
    return series(count, Modality="PT", SeriesType=[kind, "IMAGE"], **more)


def stated(count):
    """Series of so many instances that state their number, each kind of statement once."""
    return [
        series(count, NumberOfSeriesRelatedInstances=count),
        series(count, ImagesInAcquisition=count, **SPIRAL),
        series(count, ImagesInAcquisition=count, **VOLUME),
        pet(count, "WHOLE BODY", NumberOfSlices=count),
        pet(2 * count, "DYNAMIC", NumberOfSlices=count, NumberOfTimeSlices=2),
        pet(6 * count, "GATED", NumberOfSlices=count, NumberOfRRIntervals=2, NumberOfTimeSlots=3),
    ]


counts = st.integers(2, 9)
kinds = st.integers(0, len(stated(2)) - 1)


@given(counts, kinds, st.randoms())
def test_a_whole_series_has_the_count_that_it_states_in_any_order(count, kind, random):
    headers = stated(count)[kind]
    random.shuffle(headers)
    assert stated_count(headers) == len(headers)


@given(counts, kinds, st.data())
def test_a_part_of_it_has_none(count, kind, data):
    headers = stated(count)[kind]
    kept = data.draw(st.sets(st.integers(0, len(headers) - 1), max_size=len(headers) - 1))
    assert stated_count([headers[index] for index in sorted(kept)]) is None


@given(counts, kinds, st.data())
def test_one_instance_that_differs_ends_it(count, kind, data):
    headers = stated(count)[kind]
    wrong = headers[data.draw(st.integers(0, len(headers) - 1))]
    keyword, value = data.draw(
        st.sampled_from([
            ("InstanceNumber", None),
            ("InstanceNumber", len(headers) + 1),
            ("SeriesInstanceUID", "1.3"),
            ("SOPInstanceUID", ""),
            ("NumberOfSeriesRelatedInstances", len(headers) + 1),
        ])
    )
    setattr(wrong, keyword, value)
    assert stated_count(headers) is None


@given(counts, kinds, st.data())
def test_an_instance_that_came_twice_or_a_number_that_is_there_twice_ends_it(count, kind, data):
    headers = stated(count)[kind]
    index = data.draw(st.integers(0, len(headers) - 2))
    headers[index + 1].InstanceNumber = headers[index].InstanceNumber
    assert stated_count(headers) is None
    assert stated_count([*headers[: index + 1], *headers[index : len(headers) - 1]]) is None


@given(st.lists(st.integers(-2, 6), max_size=6), st.integers(-2, 6) | st.none())
def test_it_never_states_what_has_not_come(numbers, images):
    headers = [header(index, NumberOfSeriesRelatedInstances=images) for index in range(len(numbers))]
    for made, number in zip(headers, numbers, strict=True):
        made.InstanceNumber = number
    found = stated_count(headers)
    assert found is None or (found == images == len(numbers) and sorted(numbers) == list(range(1, images + 1)))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        series(3),
        series(1, NumberOfSeriesRelatedInstances=1),
        series(3, ImagesInAcquisition=3, Modality="CT", AcquisitionNumber=1),
        series(3, ImagesInAcquisition=3, **{**SPIRAL, "ScanOptions": "AXIAL MODE"}),
        series(3, ImagesInAcquisition=3, **{**SPIRAL, "AcquisitionNumber": None}),
        series(3, ImagesInAcquisition=3, **{**VOLUME, "MRAcquisitionType": "2D"}),
        series(3, ImagesInAcquisition=3, **{**VOLUME, "NumberOfTemporalPositions": 3}),
        series(3, ImagesInAcquisition=3, NumberOfSeriesRelatedInstances=6, **SPIRAL),
        pet(3, "REPROJECTION", NumberOfSlices=3),
        pet(3, "DYNAMIC", NumberOfSlices=3),
        series(3, Modality="PT", SeriesType=["STATIC", "REPROJECTION"], NumberOfSlices=3),
        series(3, Modality="PT", SeriesType="STATIC", NumberOfSlices=3),
    ],
    ids=[
        "no headers",
        "no statement",
        "one instance",
        "CT that does not say how it moves",
        "sequential CT",
        "no acquisition number",
        "MR in slices",
        "temporal positions without their number",
        "two statements that differ",
        "unknown series type",
        "time slices not stated",
        "reprojections",
        "half a series type",
    ],
)
def test_what_can_be_doubted_is_not_believed(headers):
    assert stated_count(headers) is None


def test_the_first_of_several_acquisitions_is_no_whole_series():
    headers = series(6, ImagesInAcquisition=6, **SPIRAL)
    headers[-1].AcquisitionNumber = 4
    assert stated_count(headers) is None


def test_temporal_positions_have_to_be_complete():
    headers = series(6, ImagesInAcquisition=6, **{**VOLUME, "NumberOfTemporalPositions": 2})
    for index, made in enumerate(headers):
        made.TemporalPositionIdentifier = index % 2 + 1
    assert stated_count(headers) == 6
    headers[0].TemporalPositionIdentifier = 2
    assert stated_count(headers) is None
