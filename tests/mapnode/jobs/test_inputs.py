"""Inputs: a job gets the instances that it was made for, or nothing."""

from pathlib import Path

import pytest
from pydicom import dcmread

from mapnode.intake.source import SourceReader
from mapnode.jobs.inputs import SourceChanged, current_input, place_input
from mapnode.jobs.spec import input_identity
from mapnode.pacs.resources import Instance, attachment_path
from tests.builders import make_ct_series
from tests.mapnode.engine import APP, SERIES, FakeOrthanc, make_spec


@pytest.fixture
def orthanc(tmp_path):
    orthanc = FakeOrthanc(tmp_path / "storage")
    orthanc.add(SERIES, make_ct_series(tmp_path / "source", slices=3))
    return orthanc


@pytest.fixture
def reader(orthanc, records):
    return SourceReader(orthanc, orthanc.storage, records.rejections.among)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "input"
    folder.mkdir()
    return folder


@pytest.fixture
def spec(reader):
    identity = input_identity(APP, "1", {}, {}, reader.series(SERIES).digests)
    return make_spec(series_ids=(SERIES,), subject=SERIES, identity=identity)


def test_an_unchanged_source_is_given(reader, spec):
    (series,) = current_input(reader, spec)

    assert len(series.instances) == 3


def test_another_instance_is_a_changed_source(reader, spec, orthanc, tmp_path):
    orthanc.add(SERIES, make_ct_series(tmp_path / "late", slices=4)[3:])

    with pytest.raises(SourceChanged, match="not what it was"):
        current_input(reader, spec)


def test_a_deleted_instance_is_a_changed_source(reader, spec, orthanc):
    orthanc.remove(SERIES, 1)

    with pytest.raises(SourceChanged, match="not what it was"):
        current_input(reader, spec)


def test_other_bytes_under_a_known_uid_are_a_changed_source(reader, spec, orthanc, tmp_path):
    (name,) = orthanc.remove(SERIES, 1)
    path = tmp_path / "other.dcm"
    path.write_bytes(orthanc.contents[name])
    dataset = dcmread(path)
    dataset.PatientID = "CORRECTED"
    dataset.save_as(path)
    orthanc.add(SERIES, [path])

    with pytest.raises(SourceChanged, match="not what it was"):
        current_input(reader, spec)


def test_a_rejected_instance_is_a_changed_source(reader, spec, records, orthanc):
    records.rejections.add([orthanc.held[SERIES][0].sop_instance_uid], "1.2", "Rejected for Quality Reasons")

    with pytest.raises(SourceChanged, match="not what it was"):
        current_input(reader, spec)


def test_a_deleted_series_is_a_changed_source(reader, spec, orthanc):
    orthanc.remove(SERIES)

    with pytest.raises(SourceChanged, match="no longer in Orthanc"):
        current_input(reader, spec)


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.iterdir()}


def test_instances_are_links_into_the_storage_of_the_same_file_system(reader, spec, orthanc, folder):
    linked = place_input(reader, current_input(reader, spec), folder)

    stored = {attachment_path(one.file_uuid, orthanc.storage).stat().st_ino for one in orthanc.held[SERIES]}
    assert linked == 3
    assert {path.stat().st_ino for path in (folder).iterdir()} == stored


def test_instances_are_copied_over_rest_where_a_link_fails(reader, spec, orthanc, folder, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    assert place_input(reader, current_input(reader, spec), folder) == 0
    assert contents(folder) == set(orthanc.contents.values())


def test_no_uid_leads_out_of_the_folder(reader, orthanc, tmp_path, folder):
    evil = orthanc.held[SERIES][0]
    tags = {**evil.tags, "SOPInstanceUID": "../../evil"}
    orthanc.held[SERIES] = [Instance(id="abc-def", series_id=SERIES, file_size=1, file_uuid=evil.file_uuid, tags=tags)]
    orthanc.contents["abc-def"] = orthanc.contents[evil.id]

    place_input(reader, [reader.series(SERIES)], folder)

    assert [path.parent.name for path in tmp_path.rglob("*.dcm") if "source" not in str(path)] == ["input"]
