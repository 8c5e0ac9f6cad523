"""The receiver takes batches from who knows the token, and nothing else."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from mapnode.pacs import ConflictEvent, InstanceEvent, event_router
from mapnode.pacs.event_receiver import EVENT_PATH, MAXIMUM_BYTES
from mapnode.pacs.events import TOKEN_HEADER

INSTANCE = {"kind": "instance", "id": "9be58262", "at": 1.5}
CONFLICT = {"kind": "conflict", "id": "9be58262", "at": 1.5, "sop_instance_uid": "1.2.3", "calling_aet": "CT"}


@pytest.fixture
def taken():
    return []


@pytest.fixture
def post(taken):
    app = FastAPI()
    app.include_router(event_router("token", taken.append))

    async def ask(token, **more):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            return await client.post(EVENT_PATH, headers={TOKEN_HEADER: token.encode()} if token else {}, **more)

    def send(token="token", **more):
        return asyncio.run(ask(token, **more))

    return send


def test_a_batch_is_handed_over(post, taken):
    assert post(json={"events": [INSTANCE, CONFLICT], "dropped": 2, "unchecked": 1}).status_code == 204
    (batch,) = taken
    assert batch.events == [
        InstanceEvent(id="9be58262", at=1.5),
        ConflictEvent(id="9be58262", at=1.5, sop_instance_uid="1.2.3", calling_aet="CT"),
    ]
    assert (batch.dropped, batch.unchecked) == (2, 1)
    assert batch.instance_ids == ["9be58262"]


@pytest.mark.parametrize("token", ["", "tokem", "tokén", "x" * 1000])
def test_without_the_token_nothing_is_taken(post, taken, token):
    assert post(token, json={"events": [INSTANCE]}).status_code == 401
    assert taken == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"events": [{"kind": "other"}]}', b'{"events": [{}]}'])
def test_what_is_no_batch_is_refused(post, taken, body):
    assert post(content=body).status_code == 422
    assert taken == []


def test_what_is_too_large_is_refused(post, taken):
    assert post(content=b" " * (MAXIMUM_BYTES + 1)).status_code == 413
    assert taken == []


def test_what_a_newer_plugin_adds_is_no_error(post, taken):
    assert post(json={"events": [INSTANCE | {"more": 1}], "later": True}).status_code == 204


@pytest.mark.parametrize("token", ["", "tokén"])
def test_a_token_that_guards_nothing_is_refused(token):
    with pytest.raises(ValueError, match="token"):
        event_router(token, print)


def test_origins_are_told_in_short():
    names = {"DicomProtocol": "dicom", "RestApi": "rest", "Plugins": "plugin", "rest": "rest", "NewOne": "NewOne"}
    for orthancs, ours in names.items():
        assert InstanceEvent(id="a", at=1, origin=orthancs).origin == ours
