"""Docker for tests: the one that answers, else one that is started for them; or a Podman of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from mapnode.containers.images import SOCKET_VARIABLE
from mapnode.share import shared_folder

ENGINE_VARIABLE = "MAPNODE_TEST_ENGINE"
ENGINE = os.environ.get(ENGINE_VARIABLE) or "docker"
"""The engine's own command. Docker's `run --rm` ends with 0 whatever a container of Podman ended with."""
START_S = 30.0
PODMAN = {
    # For machines without systemd, and for whoever may not raise limits: Podman asks for a million processes otherwise.
    "CONTAINERS_CONF": """
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nproc=16384:16384", "nofile=4096:4096"]
""",
    "CONTAINERS_STORAGE_CONF": '[storage]\ndriver = "overlay"\ngraphroot = "{0}/images"\nrunroot = "{0}/run"\n',
}
"""Files that these variables name."""
BUILD = Path("build/map").resolve()
"""The base image is made once for each checkout."""


def _answers() -> bool:
    done = subprocess.run(["docker", "info"], capture_output=True, check=False)
    return done.returncode == 0


@contextlib.contextmanager
def docker_daemon():
    """A daemon that answers, while the block runs; skips where there is none and none can be started."""
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed: apt-get install docker.io")
    if _answers():
        yield
        return
    if shutil.which("dockerd") is None or os.geteuid() != 0:
        pytest.skip("no Docker daemon answers, and starting one needs root and dockerd")
    folder = Path(tempfile.mkdtemp(prefix="mapnode-docker-", dir="/var/lib"))
    try:
        with _daemon(folder, "dockerd", "--data-root", str(folder / "data")):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def podman_storage():
    """Folder of a Podman with images of its own, Buildah's too, while the block runs; skips where there can be none."""
    if shutil.which("podman") is None or os.geteuid() != 0:
        pytest.skip("podman is not installed (apt-get install podman buildah), or its images would not be root's")
    folder = Path(tempfile.mkdtemp(prefix="mapnode-podman-", dir="/var/lib"))
    with pytest.MonkeyPatch.context() as patch:
        for variable, text in PODMAN.items():
            (folder / variable).write_text(text.format(folder))
            patch.setenv(variable, str(folder / variable))
        try:
            yield folder
        finally:
            # Podman mounts its images over themselves.
            subprocess.run(["umount", folder / "images" / "overlay"], check=False, capture_output=True)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def podman_service():
    """Podman where DOCKER_HOST says, while the block runs; skips where it does not start."""
    if shutil.which("docker") is None:
        pytest.skip("the tests ask Podman by Docker's client: apt-get install docker.io")
    with podman_storage() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv(SOCKET_VARIABLE, f"unix://{folder}/podman.sock")
        with _daemon(folder, "podman", "system", "service", "--time=0", os.environ[SOCKET_VARIABLE]):
            yield


def engine_under_test():
    """The engine that MAPNODE_TEST_ENGINE names, Docker where it says nothing."""
    return podman_service() if ENGINE == "podman" else docker_daemon()


@contextlib.contextmanager
def _daemon(folder: Path, *command: str):
    """A daemon that answers, while the block runs; skips where it does not start."""
    # Podman's monitor leaves a file where it was started when a container runs out of memory.
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        if not _comes_up(daemon):
            pytest.skip(f"{command[0]} does not start here: {(folder / 'log').read_text().splitlines()[-1:]}")
        yield
    finally:
        daemon.terminate()
        daemon.wait(timeout=START_S)


def _comes_up(daemon: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_S
    while time.monotonic() < until and daemon.poll() is None:
        if _answers():
            return True
        time.sleep(0.2)
    return False


def debian_base() -> Path:
    """A root file system of Debian packages, from the machine's mirror; skips where it can be neither had nor made."""
    path = BUILD / "base-debian.tar"
    if not path.exists():
        if shutil.which("debootstrap") is None or os.geteuid() != 0:
            pytest.skip("base-debian needs root and debootstrap: apt-get install debootstrap")
        BUILD.mkdir(parents=True, exist_ok=True)
        subprocess.run([shared_folder("map-build") / "base-debian", path], check=True, capture_output=True)
    return path
