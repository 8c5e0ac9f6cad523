"""Reject: the process that builds a rejection note, as the node starts it."""

import json

import pytest
from pydicom import dcmread

from operators.runtime.reject import reject
from tests.builders import make_ct_series


@pytest.fixture
def order(tmp_path):
    make_ct_series(tmp_path / "rejected", slices=2)
    return {
        "folder": str(tmp_path / "rejected"),
        "output": str(tmp_path / "note.dcm"),
        "identity": "a" * 64,
        "clock": "2025-01-02T10:15:30",
        "app": "toy",
        "version": "1",
        "title": "113001",
        "description": "superseded",
    }


def test_the_same_order_gives_the_same_bytes(order, tmp_path):
    reject(json.loads(json.dumps(order)))
    first = (tmp_path / "note.dcm").read_bytes()
    reject(order)

    assert (tmp_path / "note.dcm").read_bytes() == first


def test_a_note_takes_its_name_only_when_it_is_whole(order, tmp_path):
    reject(order)

    assert [path.name for path in tmp_path.glob("note*")] == ["note.dcm"]
    assert dcmread(tmp_path / "note.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.59"


def test_a_file_that_is_no_dicom_leaves_no_note(order, tmp_path):
    (tmp_path / "rejected" / "broken.dcm").write_bytes(b"broken")

    with pytest.raises(Exception, match="DICOM"):
        reject(order)

    assert list(tmp_path.glob("note*")) == []
