"""Confinement: what a container of a MAP may do and have, as the engine's API takes it."""

from __future__ import annotations

import math
import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mapnode.package import layout
from mapnode.runners.memory import parse_memory
from mapnode.runners.threads import thread_variables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mapnode.containers.images import MapImage
    from mapnode.package.manifests import AppManifest

INPUT_VARIABLE, OUTPUT_VARIABLE = "HOLOSCAN_INPUT_PATH", "HOLOSCAN_OUTPUT_PATH"
LOGS_VARIABLE, TIMEOUT_VARIABLE = "HOLOSCAN_LOGS_PATH", "HOLOSCAN_TIMEOUT"
REFERENCE = "/run/mapnode/reference.json"
"""Where the site's reference set lies in a container."""
PIDS = 512
"""Processes and threads: eight do for a classical app, torch starts a few for each core; a fork bomb ends here."""
TEMPORARY_BYTES = 256 * 2**20
"""Of /tmp, and of the folder for logs; it counts as the container's memory."""
STACK_BYTES = 32 * 2**20
"""Holoscan warns below it."""
FILES = 4096
NO_GPU = {"NVIDIA_VISIBLE_DEVICES": "void"}
"""Where NVIDIA's runtime is the engine's default, the image's own words would give it every GPU."""
NANO = 1_000_000_000


@dataclass(frozen=True)
class Folders:
    """What of this machine a container sees.

    Attributes:
        input: Folder with the study; it cannot be written.
        output: Empty folder for the results.
        reference: The site's reference set, where there is one.
    """

    input: Path
    output: Path
    reference: Path | None = None


def container_paths(app: AppManifest, environment: Mapping[str, str]) -> tuple[str, str]:
    """Where a MAP reads and writes: as its environment says, which the app reads, else as app.json says."""
    named = (environment.get(INPUT_VARIABLE) or app.input.path, environment.get(OUTPUT_VARIABLE) or app.output.path)
    source, target = (posixpath.normpath(posixpath.join(app.working_directory, path)) for path in named)
    return source, target


def user_of(image_user: str, uid: int, gid: int) -> str:
    """Who runs in the container, by number: never root.

    Args:
        image_user: The image's.
        uid: The node's; where it is not root's, files that the container writes have to belong to the node.
        gid: Its group.
    """
    if uid != 0:
        return f"{uid}:{gid}"
    number = image_user.split(":")[0]
    # A name means what the image's own passwd says: root, perhaps.
    return image_user if number.isdecimal() and int(number) != 0 else f"{layout.USER}:{layout.USER}"


def container_config(image: MapImage, folders: Folders, labels: Mapping[str, str], more: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
    """What is run: the image's own entry point, as its own user or nobody in particular.

    Args:
        image: The image.
        folders: What it sees.
        labels: The container's.
        more: Variables besides the image's.
    """
    source, target = container_paths(image.app, image.environment)
    variables = {
        # What has no home of its own writes its caches where anything can be written.
        "HOME": "/tmp",  # noqa: S108 - the container's
        INPUT_VARIABLE: source,
        OUTPUT_VARIABLE: target,
        # Libraries count the machine's cores, not those that the container may use.
        **thread_variables(math.ceil(_cpus(image)), image.environment),
        **({} if image.needs.gpu else NO_GPU),
        **more,
    }
    return {
        "image": image.image_id,
        "user": _user(image),
        "environment": variables,
        "labels": dict(labels),
        "network_disabled": True,
        "healthcheck": {"test": ["NONE"]},
    }


def host_config(image: MapImage, folders: Folders) -> dict[str, Any]:
    """What the container may use: the issue's list, from pkg.json.

    Args:
        image: The image.
        folders: What it sees.

    Returns:
        What `docker.APIClient.create_host_config` takes.
    """
    source, target = container_paths(image.app, image.environment)
    resources, memory = image.package.resources, parse_memory(image.memory)
    mounts = [_bind(folders.input, source, read_only=True), _bind(folders.output, target, read_only=False)]
    if folders.reference is not None:
        mounts.append(_bind(folders.reference, REFERENCE, read_only=True))
    writable = {"/tmp", posixpath.normpath(image.environment.get(LOGS_VARIABLE) or layout.LOGS)}  # noqa: S108
    owner = _user(image).split(":")[0]
    limits = {"stack": STACK_BYTES, "nofile": FILES, "core": 0, "fsize": image.output_bytes}
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "ipc_mode": "private",
        "pids_limit": PIDS,
        "mem_limit": memory,
        # As much as memory: no swap.
        "memswap_limit": memory,
        "nano_cpus": int(_cpus(image) * NANO),
        "shm_size": parse_memory(resources.shared_memory.removesuffix("B")),
        "ulimits": [{"name": name, "soft": most, "hard": most} for name, most in limits.items()],
        "mounts": mounts,
        # Engines give it the mode of the image's folder, which may be closed to all but its owner.
        "tmpfs": dict.fromkeys(sorted(writable), f"rw,noexec,nosuid,nodev,uid={owner},size={TEMPORARY_BYTES}"),
        # What it says is read as it comes and kept, up to a limit, with the job: a flood must not fill the disk.
        "log_config": {"type": "none", "config": {}},
        **_gpus(resources.gpu_limit or resources.gpu),
    }


def _cpus(image: MapImage) -> float:
    """Cores that it may use, as its manifest says and the machine has."""
    resources = image.package.resources
    return min(resources.cpu_limit or resources.cpu or 1, os.cpu_count() or 1)


def _user(image: MapImage) -> str:
    return user_of(image.user, os.getuid(), os.getgid())


def _bind(source: Path, target: str, *, read_only: bool) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(source.resolve()), "Target": target, "ReadOnly": read_only}


def _gpus(count: float) -> dict[str, Any]:
    """GPUs where they are asked for: half a one is one."""
    if not count:
        return {}
    return {"device_requests": [{"driver": "", "count": math.ceil(count), "capabilities": [["gpu"]]}]}
