"""Podman: what it is told otherwise than Docker, so that a MAP is confined there as much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mapnode.containers.confinement import LOGS_VARIABLE, TEMPORARY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPORARY = "/tmp"  # noqa: S108 - the container's
CLOSED = ("/run", "/var/tmp")  # noqa: S108 - the container's
"""Under a read-only root Podman makes these tmpfs that can be written, as large as half of the memory."""
OPTIONS = f"noexec,nosuid,nodev,size={TEMPORARY_BYTES}"
USER_PROCESSES = 16_384
"""Of the container's user on the whole machine, besides the container's own limit. Where nothing is said Podman asks
for 1,048,576, which an engine that is limited itself may not give."""


def is_podman(version: Mapping[str, Any]) -> bool:
    """Whether an engine is Podman.

    Args:
        version: What it answers to `/version`.
    """
    return any("podman" in str(one.get("Name")).lower() for one in version.get("Components") or ())


def config_for_podman(config: Mapping[str, Any]) -> dict[str, Any]:
    """What is run, with its logs in the one folder for temporary files.

    Podman 4.3 knows no `uid=` of a tmpfs, and runc 1.1 gives a tmpfs owner and mode of the image's folder: the one for
    logs may be closed to the user, /tmp is open to everybody.

    Args:
        config: As Docker takes it.
    """
    return {**config, "environment": {**config["environment"], LOGS_VARIABLE: TEMPORARY}}


def host_for_podman(host: Mapping[str, Any]) -> dict[str, Any]:
    """What the container may use, in words that Podman 4.3 knows.

    Args:
        host: As Docker takes it.
    """
    closed = dict.fromkeys(CLOSED, f"ro,{OPTIONS}")
    processes = {"name": "nproc", "soft": USER_PROCESSES, "hard": USER_PROCESSES}
    return {
        **host,
        "tmpfs": {TEMPORARY: f"rw,{OPTIONS},mode=1777", **closed},
        "ulimits": [*host["ulimits"], processes],
    }
