"""The client reads Orthanc's answers and maps every foreign error; the network is a function."""

import inspect
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mapnode.pacs.errors import (
    CompressedAttachment,
    NotAuthorised,
    NotFound,
    OrthancFailed,
    OrthancRefused,
    OrthancUnreachable,
    PacsError,
    UnexpectedAnswer,
)
from mapnode.pacs.events import InstanceEvent
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.resources import StoreStatus

CHANGE = {
    "ChangeType": "NewInstance",
    "Date": "20261121T023134",
    "ID": "9be58262",
    "Path": "/instances/9be58262",
    "ResourceType": "Instance",
    "Seq": 5,
}
ATTACHMENT = {
    "CompressedMD5": "db1e",
    "CompressedSize": 132368,
    "ContentType": 1,
    "UncompressedMD5": "db1e",
    "UncompressedSize": 132368,
    "Uuid": "e712d5b5-e7eb-414f-b719-7b50cb573d76",
}


@pytest.fixture
def client_of():
    """A client whose Orthanc gives one answer; `asked` keeps the requests."""
    clients = []

    def make(answer, status=200):
        asked = []

        def handle(request):
            asked.append(request)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(status, content=answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        client = OrthancClient("http://orthanc:8042/", "user", "secret", transport=httpx.MockTransport(handle))
        client.asked = asked
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def test_changes_come_with_their_end(client_of):
    client = client_of({"Changes": [CHANGE], "Done": False, "Last": 5})
    changes, last, done = client.changes(4, 10)
    assert [(c.seq, c.type, c.resource_id, c.path) for c in changes] == [
        (5, "NewInstance", "9be58262", "/instances/9be58262")
    ]
    assert (last, done) == (5, False)
    assert str(client.asked[0].url) == "http://orthanc:8042/changes?since=4&limit=10"
    assert client.asked[0].headers["Authorization"].startswith("Basic ")


def test_statistics_come_as_text_or_numbers(client_of):
    counts = {"CountPatients": 1, "CountStudies": 1, "CountSeries": 2, "CountInstances": 3, "TotalDiskSize": "529468"}
    assert client_of(counts).statistics().disk_bytes == 529468


def test_an_attachment_lies_under_the_first_two_pairs(client_of):
    path = client_of(ATTACHMENT).attachment_path("9be58262", Path("/storage"))
    assert path == Path("/storage/e7/12/e712d5b5-e7eb-414f-b719-7b50cb573d76")


def test_a_compressed_attachment_cannot_be_linked(client_of):
    with pytest.raises(CompressedAttachment, match="9be58262"):
        client_of(ATTACHMENT | {"CompressedSize": 1000}).attachment_path("9be58262", Path("/storage"))


def test_an_attachment_never_leads_out_of_the_storage_area(client_of):
    with pytest.raises(UnexpectedAnswer):
        client_of(ATTACHMENT | {"Uuid": "../../../etc/passwd"}).attachment("9be58262")


@pytest.mark.parametrize("status", list(StoreStatus))
def test_store_says_what_became_of_it(client_of, status):
    client = client_of({"ID": "9be58262", "Status": str(status), "Path": "/instances/9be58262"})
    assert client.store(b"DICM").status is status
    assert client.asked[0].content == b"DICM"


def test_store_never_takes_another_status_for_success(client_of):
    with pytest.raises(UnexpectedAnswer, match="Status"):
        client_of({"ID": "9be58262", "Status": "FilteredOut"}).store(b"DICM")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, NotAuthorised), (403, NotAuthorised), (404, NotFound), (400, OrthancRefused), (507, OrthancFailed)],
)
def test_a_refusal_carries_status_and_detail(client_of, status, kind):
    body = {"Message": "Bad file format", "Details": "Cannot parse an invalid DICOM file"}
    with pytest.raises(kind, match=f"{status} Cannot parse") as refusal:
        client_of(body, status).series("a")
    assert (refusal.value.status, refusal.value.detail) == (status, "Cannot parse an invalid DICOM file")


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"text"'])
def test_a_refusal_without_detail_says_the_status(client_of, body):
    with pytest.raises(OrthancFailed, match="500 Internal Server Error"):
        client_of(body, 500).series("a")


@pytest.mark.parametrize("ask", [lambda c: c.system(), lambda c: c.changes(0), lambda c: c.lookup("1.2.3")])
def test_an_error_of_orthancs_own_that_no_object_can_have_caused_counts_as_no_answer(client_of, ask):
    with pytest.raises(OrthancUnreachable, match="500 The database is away"):
        ask(client_of({"Message": "The database is away"}, 500))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"Changes": 3}'])
def test_an_answer_that_is_none_is_told(client_of, body):
    with pytest.raises(UnexpectedAnswer, match="GET /changes"):
        client_of(body).changes(0)


def request_errors():
    kinds = [k for _, k in inspect.getmembers(httpx, inspect.isclass) if issubclass(k, httpx.RequestError)]
    return sorted(kinds, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", request_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_httpx_is_mapped(client_of, kind):
    with pytest.raises(OrthancUnreachable, match=r"http://orthanc:8042: \w+ gone"):
        client_of(kind("gone")).system()


def test_an_identifier_cannot_become_another_path(client_of):
    client = client_of({})
    with pytest.raises(PacsError):
        client.instance("../changes?x")
    assert client.asked[0].url.raw_path == b"/instances/..%2Fchanges%3Fx"


def test_nobody_listening_is_unreachable():
    with OrthancClient("http://127.0.0.1:1", "user", "secret") as client, pytest.raises(OrthancUnreachable):
        client.system()


def test_sequences_among_the_main_tags_are_left_out(client_of):
    """Orthanc 1.12 gives Request Attributes Sequence (0040,0275) as a list."""
    client = client_of({
        "ID": "s",
        "ParentStudy": "t",
        "Instances": ["i"],
        "MainDicomTags": {"SeriesInstanceUID": "1.2.3", "RequestAttributesSequence": []},
    })

    assert client.series("s").tags == {"SeriesInstanceUID": "1.2.3"}


ARRIVED = ATTACHMENT | {
    "ID": "9be58262",
    "ParentSeries": "3acd2c07",
    "FileSize": 132368,
    "MainDicomTags": {"SOPInstanceUID": "1.2.3"},
    "RemoteAET": "CT",
    "CalledAET": "MAPNODE",
    "Origin": "DicomProtocol",
    "ReceptionDate": "20261121T023134",
}


def test_an_arrival_has_the_fields_of_an_event(client_of):
    event = client_of(ARRIVED).arrival("9be58262")
    assert event == InstanceEvent(
        id="9be58262",
        at=datetime(2026, 11, 21, 2, 31, 34, tzinfo=UTC).timestamp(),
        series_id="3acd2c07",
        sop_instance_uid="1.2.3",
        file_uuid=ATTACHMENT["Uuid"],
        md5="db1e",
        calling_aet="CT",
        called_aet="MAPNODE",
        origin="dicom",
    )


def test_an_arrival_offers_no_compressed_file_and_no_date_that_is_not_there(client_of):
    event = client_of(ARRIVED | {"CompressedSize": 1, "ReceptionDate": ""}).arrival("9be58262")
    assert (event.file_uuid, event.md5, event.at) == ("", "db1e", 0.0)
