"""Limits: an engine that cannot hold them is found out, whatever it says when it is asked for them."""

import pytest

from mapnode.containers.limits import is_rootless, limits_not_held

ASKED = {
    "Memory": 268435456,
    "NanoCpus": 1_000_000_000,
    "PidsLimit": 512,
    "Ulimits": [{"Name": "nofile", "Soft": 4096, "Hard": 4096}, {"Name": "fsize", "Soft": 1000, "Hard": 1000}],
}
DOCKER = {**ASKED, "Runtime": "runc"}
PODMAN = {**ASKED, "Ulimits": [{**one, "Name": f"RLIMIT_{one['Name'].upper()}"} for one in ASKED["Ulimits"]]}
ROOTLESS_PODMAN = {"Memory": 0, "NanoCpus": 0, "PidsLimit": 0, "Ulimits": []}
"""What Podman 4.3.1 says without root on cgroup v1 of a container that was asked for with all limits, and made."""


@pytest.mark.parametrize("held", [DOCKER, PODMAN])
def test_limits_that_are_held_are_known_in_both_engines_words(held):
    assert limits_not_held(ASKED, held) == []


def test_limits_that_were_dropped_without_a_word_are_named():
    assert limits_not_held(ASKED, ROOTLESS_PODMAN) == ["memory", "CPU", "processes", "nofile", "fsize"]


@pytest.mark.parametrize("name", ["Memory", "NanoCpus", "PidsLimit"])
@pytest.mark.parametrize("held", [0, None, -1, 10**12])
def test_a_single_limit_that_is_not_what_was_asked_for_is_named(name, held):
    assert len(limits_not_held(ASKED, {**DOCKER, name: held})) == 1


def test_an_engine_without_root_says_so_in_either_way():
    assert is_rootless({"SecurityOptions": ["name=seccomp,profile=default", "name=rootless"]})
    assert is_rootless({"Rootless": True, "MemoryLimit": True, "SecurityOptions": ["name=seccomp,profile=default"]})
    assert not is_rootless({"Rootless": False, "SecurityOptions": ["name=seccomp,profile=default"]})
    assert not is_rootless({"SecurityOptions": None})
