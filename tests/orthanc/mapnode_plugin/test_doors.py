"""Doors: C-STORE, REST and DICOMweb ask the gate; its route wants the token."""

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


def passes(fake, method, uri="/instances", headers=None):
    number = getattr(fake.HttpMethod, method)
    return fake.callbacks["http"](uri, method=number, ip="127.0.0.1", headers=headers or {}, get={})


def test_a_closed_gate_refuses_a_sender_with_out_of_resources(fake):
    instance = Dicom(dicom(frames=["ab"]))
    assert fake.callbacks["c-store"](instance) == 0
    assert close(fake).body["closed"]
    assert fake.callbacks["c-store"](instance) == OUT_OF_RESOURCES == 0xA700
    assert not close(fake, closed=False).body["closed"]
    assert fake.callbacks["c-store"](instance) == 0


def test_a_closed_gate_refuses_what_stores_over_http_but_the_nodes_own(fake):
    close(fake)
    for uri in ("/instances", "/dicom-web/studies"):
        assert not passes(fake, "POST", uri)
        assert passes(fake, "GET", uri)
        assert passes(fake, "POST", uri, OWN)
        assert not passes(fake, "POST", uri, {"x-mapnode-token": "guess"})
    assert passes(fake, "POST", "/tools/find")
    assert passes(fake, "DELETE", "/instances/a1")


@pytest.mark.parametrize("length", [{}, {"content-length": "12"}, {"content-length": "twelve"}])
def test_a_body_without_a_length_is_taken_as_it_comes(fake, length):
    assert passes(fake, "POST", headers=length)


def test_a_body_that_does_not_fit_is_refused_before_it_is_read(fake):
    assert not passes(fake, "POST", headers={"content-length": str(10**18)})
    assert not passes(fake, "POST", headers={"content-length": str(10**18)} | OWN)


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
