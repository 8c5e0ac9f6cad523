"""Doors: C-STORE asks the gate; its route wants the token."""

import json

import pytest
from mapnode_plugin.doors import GATE_PATH, OUT_OF_RESOURCES

from tests.orthanc.fakes import TOKEN, Dicom, arrive, configuration, dicom, eventually

OWN = {"x-mapnode-token": TOKEN}


class Output:
    """Orthanc's answer."""

    def __init__(self):
        self.status, self.body = 200, None

    def SendHttpStatusCode(self, status):  # noqa: N802 - Orthanc's name
        self.status = status

    def SendMethodNotAllowed(self, _methods):  # noqa: N802
        self.status = 405

    def AnswerBuffer(self, body, _kind):  # noqa: N802
        self.body = json.loads(body)


@pytest.fixture
def fake(load, node, tmp_path):
    fake, _ = load(configuration(node.url, tmp_path))
    return fake


def ask(fake, method="GET", body=b"", headers=OWN):
    output = Output()
    fake.callbacks[GATE_PATH](output, GATE_PATH, method=method, headers=headers, body=body)
    return output


def close(fake, closed=True):
    return ask(fake, "PUT", json.dumps({"closed": closed, "reason": "test"}).encode())


def test_a_closed_gate_refuses_a_sender_with_out_of_resources(fake):
    instance = Dicom(dicom(frames=["ab"]))
    assert fake.callbacks["c-store"](instance) == 0
    assert close(fake).body["closed"]
    assert fake.callbacks["c-store"](instance) == OUT_OF_RESOURCES == 0xA700
    assert not close(fake, closed=False).body["closed"]
    assert fake.callbacks["c-store"](instance) == 0


def test_what_does_not_fit_is_refused(fake):
    instance = Dicom(dicom(frames=["ab"]))
    instance.GetInstanceSize = lambda: 10**18
    assert fake.callbacks["c-store"](instance) == OUT_OF_RESOURCES


@pytest.mark.parametrize("headers", [{}, {"x-mapnode-token": "guess"}, {"x-mapnode-token": "tokén"}])
def test_the_route_wants_the_token(fake, headers):
    assert ask(fake, headers=headers).status == 403
    assert ask(fake, "PUT", b'{"closed": true}', headers).status == 403
    assert not ask(fake).body["closed"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"1", b"\xff"])
def test_what_is_no_order_is_refused(fake, body):
    assert ask(fake, "PUT", body).status == 400
    assert not ask(fake).body["closed"]


def test_other_methods_are_not_known(fake):
    assert ask(fake, "DELETE").status == 405


def test_a_closed_gate_does_not_stop_events(started, node):
    fake, _ = started
    close(fake)
    arrive(fake, "a")
    assert eventually(lambda: [event.id for event in node.events] == ["a"])
