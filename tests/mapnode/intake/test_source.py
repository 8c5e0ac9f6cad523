"""Source: a series as Orthanc has it now, without what is out of use, asked for as little as possible."""

import pytest

from mapnode.intake import source as module
from mapnode.intake.references import referenced_series
from mapnode.intake.source import SourceReader
from tests.builders import make_ct_series
from tests.mapnode.engine import SERIES, Clock, FakeOrthanc


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


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def files(tmp_path):
    return make_ct_series(tmp_path / "files", slices=3)


def hold(orthanc, reader, files):
    for event in orthanc.add(SERIES, files):
        reader.remember(event)


def test_a_series_as_it_is_now_is_asked_for_however_lately_it_was_seen(orthanc, reader, files):
    hold(orthanc, reader, files)
    reader.series(SERIES)
    orthanc.remove(SERIES)

    assert reader.series(SERIES) is None


def test_headers_of_an_input_leave_out_what_does_not_parse(reader, files):
    (files[0].parent / "broken.dcm").write_bytes(b"nothing")

    assert len(reader.headers_in(files[0].parent)) == len(files)
