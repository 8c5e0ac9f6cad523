"""Builders: whichever makes an image of an app, the same files are in it as in ours."""

import functools
import hashlib
import os
import shutil
import subprocess
import tarfile

import pytest

from mapnode.containers.images import SOCKET_VARIABLE
from mapnode.package.archive import write_archive
from mapnode.package.build import build
from mapnode.package.container_engine import ContainerEngine, find_engine
from mapnode.package.context import write_context
from mapnode.package.inspect_map import inspect_map
from tests.docker_under_test import podman_storage

pytestmark = pytest.mark.docker

BASE, OURS, THEIRS = "mapnode-test-base:1", "mapnode-test-written:1", "mapnode-test-built:1"
NO_NETWORK = ("--network", "none")


def run(*command, **variables) -> str:
    done = subprocess.run(
        [*map(str, command)], env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def podman():
    """Podman's images, of these tests alone."""
    with podman_storage():
        yield "podman"


@pytest.fixture(scope="module")
def images(base, plan, wheelhouse, cache):
    """Has an engine take the base image and the image that we write; both are gone at the end."""
    engines = []

    def take(engine: str) -> None:
        engines.append(engine)
        run(engine, "import", base, BASE)
        image = build(plan, OURS, str(base), wheelhouse).image
        ContainerEngine(engine).load(functools.partial(write_archive, image))

    yield take
    for engine in engines:
        subprocess.run([engine, "rmi", "--force", BASE, OURS, THEIRS], capture_output=True, check=False)


@pytest.fixture(scope="module")
def in_docker(docker, images):
    images("docker")


@pytest.fixture(scope="module")
def in_podman(podman, images):
    images("podman")


@pytest.fixture(scope="module")
def context(plan, wheelhouse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("context") / "context"
    write_context(plan, BASE, wheelhouse, folder)
    return folder


def files_of(engine: str, image: str, folder) -> dict[str, str]:
    """SHA-256 of each file of an image; of pyc, which change with releases of Python, only that they are there."""
    container = run(engine, "create", image, "none").strip()
    try:
        run(engine, "export", "--output", folder / "image.tar", container)
    finally:
        run(engine, "rm", container)
    with tarfile.open(folder / "image.tar") as tar:
        members = [one for one in tar if one.isfile() or one.issym()]
        return {one.name: "" if one.name.endswith(".pyc") else _digest(tar, one) for one in members}


def _digest(tar, member) -> str:
    file = None if member.issym() else tar.extractfile(member)
    return f"-> {member.linkname}" if file is None else hashlib.sha256(file.read()).hexdigest()


def differences(engine: str, folder) -> list[str]:
    """Files that only one of both images has, or that differ."""
    ours, theirs = files_of(engine, OURS, folder), files_of(engine, THEIRS, folder)
    assert "opt/holoscan/app/app.py" in ours
    return [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]


def test_dockers_classic_builder_makes_the_files_of_our_image(in_docker, context, tmp_path):
    run("docker", "build", *NO_NETWORK, "--tag", THEIRS, context, DOCKER_BUILDKIT="0")
    assert differences("docker", tmp_path) == []


def test_buildkit_makes_the_files_of_our_image(in_docker, context, tmp_path):
    clients = [shutil.which("docker", path=folder) for folder in os.environ["PATH"].split(os.pathsep)]
    able = [client for client in clients if client and _has_buildkit(client)]
    if not able:
        pytest.skip("no client of Docker has BuildKit here: one before 23, or the plug-in buildx")
    run(able[0], "build", *NO_NETWORK, "--tag", THEIRS, context, DOCKER_BUILDKIT="1")
    assert differences("docker", tmp_path) == []


def _has_buildkit(client: str) -> bool:
    """Clients from 23 on have it in a plug-in; the daemons of earlier ones have it in them."""
    major = int(run(client, "--version").split("version ")[1].split(".")[0])
    return major < 23 or subprocess.run([client, "buildx", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("builder", ["buildah", "podman"])
def test_buildah_and_podman_make_the_files_of_our_image(in_podman, context, tmp_path, builder):
    if shutil.which(builder) is None:
        pytest.skip(f"{builder} is not installed: apt-get install {builder}")
    run(builder, "build", *NO_NETWORK, "--tag", THEIRS, context)
    assert differences("podman", tmp_path) == []


def test_podman_has_our_image_under_the_id_that_docker_has_it_under(in_docker, in_podman):
    ids = {run(engine, "image", "inspect", "--format", "{{.Id}}", OURS).strip() for engine in ("docker", "podman")}
    assert len({one.removeprefix("sha256:") for one in ids}) == 1


def test_where_no_docker_answers_podman_is_asked_and_gives_our_image_back(in_podman, plan, monkeypatch):
    monkeypatch.setenv(SOCKET_VARIABLE, "unix:///nowhere/docker.sock")
    assert find_engine().program == "podman"
    found = inspect_map(OURS)
    assert (found.app.version, found.warnings) == (plan.app.manifest.application.version, ())
