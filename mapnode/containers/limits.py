"""Limits: whether an engine holds what a MAP is confined by; some drop it without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNTED = {"Memory": "memory", "NanoCpus": "CPU", "PidsLimit": "processes"}
"""Not MemorySwap: a kernel that does not account for swap is common, and has Docker drop that limit alone."""


def is_rootless(info: Mapping[str, Any]) -> bool:
    """Whether an engine runs without root: Docker says so among its security options, Podman by a word of its own.

    Args:
        info: What it answers to `/info`.
    """
    return bool(info.get("Rootless")) or "name=rootless" in (info.get("SecurityOptions") or ())


def limits_not_held(asked: Mapping[str, Any], held: Mapping[str, Any]) -> list[str]:
    """Limits that were asked for and that a container does not have.

    Args:
        asked: HostConfig of the request.
        held: HostConfig of the container, as the engine tells it.
    """
    counted = [words for name, words in COUNTED.items() if held.get(name) != asked[name]]
    said = {_plain(one): one["Hard"] for one in held.get("Ulimits") or ()}
    return counted + [_plain(one) for one in asked["Ulimits"] if said.get(_plain(one)) != one["Hard"]]


def _plain(limit: Mapping[str, Any]) -> str:
    """The name of a limit of the kernel, which Podman writes as RLIMIT_NOFILE."""
    return str(limit["Name"]).lower().removeprefix("rlimit_")
