"""Engine: what it does about an engine that drops limits, or removes a container only at a second request."""

import pytest
from docker.errors import APIError, NotFound

from mapnode.containers.engine import REMOVALS, Engine
from mapnode.containers.errors import EngineRefused

HOST = {"mem_limit": 1000, "nano_cpus": 5, "pids_limit": 7, "ulimits": []}


class FakeApi:
    """Docker's SDK as far as removing and making containers asks for it."""

    def __init__(self, removals=(), held=None):
        self.removals = list(removals)
        self.held = held
        self.removed = []

    def remove_container(self, container, **_options):
        self.removed.append(container)
        if self.removals and (error := self.removals.pop(0)):
            raise error

    def version(self):
        return {}

    def create_host_config(self, **host):
        return {"Memory": host["mem_limit"], "NanoCpus": host["nano_cpus"], "PidsLimit": host["pids_limit"],
                "Ulimits": host["ulimits"]}  # fmt: skip

    def create_container(self, **_options):
        return {"Id": "made"}

    def inspect_container(self, _container):
        return {"HostConfig": self.held}


def engine_of(api) -> Engine:
    engine = Engine.__new__(Engine)
    engine._api, engine._address = api, "unix:///fake.sock"
    return engine


def test_a_container_that_takes_long_to_die_is_removed_at_a_further_request():
    api = FakeApi([APIError("given PIDs did not die within timeout")] * 2)
    engine_of(api).remove("bomb")
    assert api.removed == ["bomb"] * 3


def test_one_that_is_gone_is_no_error():
    api = FakeApi([NotFound("no such container")] * REMOVALS)
    engine_of(api).remove("gone")
    assert api.removed == ["gone"]


def test_one_that_cannot_be_removed_is_said():
    with pytest.raises(EngineRefused, match="did not die"):
        engine_of(FakeApi([APIError("given PIDs did not die")] * REMOVALS)).remove("bomb")


def test_a_container_without_a_limit_that_was_asked_for_never_starts_and_is_removed():
    api = FakeApi(held={"Memory": 0, "NanoCpus": 5, "PidsLimit": 0})
    with pytest.raises(
        EngineRefused, match=r"does not hold limits that a MAP is confined by: memory, processes; nothing"
    ):
        engine_of(api).create("job", {}, HOST)
    assert api.removed == ["made"]


def test_a_container_with_all_limits_is_given():
    held = {"Memory": 1000, "NanoCpus": 5, "PidsLimit": 7}
    assert engine_of(FakeApi(held=held)).create("job", {}, HOST) == "made"
