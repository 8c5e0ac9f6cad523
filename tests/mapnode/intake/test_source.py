"""Source: a series as Orthanc has it now, without what is out of use, asked for as little as possible."""

import pytest

from mapnode.intake.references import referenced_series
from mapnode.intake.source import SourceReader
from tests.builders import make_ct_series
from tests.mapnode.engine import SERIES, FakeOrthanc


@pytest.fixture
def orthanc(tmp_path):
    return FakeOrthanc(tmp_path / "storage")


@pytest.fixture
def rejected():
    return set()


@pytest.fixture
def reader(orthanc, rejected):
    return SourceReader(orthanc, orthanc.storage, rejected.intersection)


@pytest.fixture
def events(orthanc, tmp_path):
    return orthanc.add(SERIES, make_ct_series(tmp_path / "source", slices=3))


def test_a_series_has_its_instances_with_digest_and_number(reader, events):
    series = reader.series(SERIES)

    assert [(one.sop_instance_uid, one.md5) for one in series.instances] == [
        (e.sop_instance_uid, e.md5) for e in events
    ]
    assert sorted(one.number for one in series.instances) == [1, 2, 3]
    assert series.study_id == "study-1"


def test_a_digest_that_an_event_told_of_is_not_asked_for(reader, orthanc, events, monkeypatch):
    for event in events:
        reader.remember(event)
    monkeypatch.setattr(orthanc, "attachment", lambda _: pytest.fail("Orthanc was asked"))

    assert len(reader.series(SERIES).digests) == 3


def test_what_is_out_of_use_is_not_there(reader, events, rejected):
    rejected.add(events[0].sop_instance_uid)
    some = reader.series(SERIES)
    rejected.update(event.sop_instance_uid for event in events)

    assert len(some.instances) == 2
    assert reader.series(SERIES) is None


def test_a_series_that_is_gone_is_none(reader):
    assert reader.series("gone") is None


def test_headers_come_over_rest_where_the_storage_cannot_be_reached(reader, orthanc, events):
    reader.file(events[0].file_uuid).unlink()

    headers = reader.headers(reader.series(SERIES))

    assert {header.SOPInstanceUID for header in headers} == {event.sop_instance_uid for event in events}


def test_a_series_that_refers_to_nothing_has_no_sources(reader, events):
    assert referenced_series(reader, []) == []
