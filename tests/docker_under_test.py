"""Docker for tests: the one that answers, else one that is started for them and stopped after them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from mapnode.share import shared_folder

START_S = 30.0
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
    with (folder / "log").open("w") as log:
        daemon = subprocess.Popen(["dockerd", "--data-root", folder / "data"], stdout=log, stderr=log)
    try:
        if not _comes_up(daemon):
            pytest.skip(f"dockerd does not start here: {(folder / 'log').read_text().splitlines()[-1:]}")
        yield
    finally:
        daemon.terminate()
        daemon.wait(timeout=START_S)
        shutil.rmtree(folder, ignore_errors=True)


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
