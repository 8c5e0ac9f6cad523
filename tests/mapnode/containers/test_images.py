"""Images: what is not on the list, or not what the list pins, is refused with the way out."""

import pytest

from mapnode.containers.errors import EngineUnreachable, ImageRefused
from mapnode.containers.images import Images, digests_of, socket_address
from mapnode.errors import WrongUse
from mapnode.settings import ImageSettings
from mapnode.share import import_root
from operators.core.contract import ObjectKind
from tests.mapnode.containers.toy_map import allowed, found

A, B = ("sha256:" + letter * 64 for letter in "ab")


@pytest.fixture
def images():
    return Images({"ct:1": ImageSettings(digest=A), "mr:2": ImageSettings(digest=B)}, "/nowhere/docker.sock")


@pytest.mark.parametrize("reference", ["ct:1", A, f"ct:1@{A}"])
def test_a_rule_calls_an_image_by_name_digest_or_both(images, reference):
    assert images.name_of(reference) == "ct:1"


@pytest.mark.parametrize("reference", ["ct:2", "sha256:" + "c" * 64, f"ct:1@{B}", f"ct:2@{A}", "", "@"])
def test_what_is_not_on_the_list_is_refused_with_the_way_out(images, reference):
    with pytest.raises(ImageRefused, match=r"not on the list .*\(ct:1, mr:2\).* images: in mapnode.yaml"):
        images.find(reference)


def test_an_engine_that_does_not_answer_is_named_with_the_way_out(images):
    with pytest.raises(EngineUnreachable, match=r"unix:///nowhere/docker.sock .*container_socket in mapnode.yaml"):
        images.find("ct:1")


def test_the_id_comes_first_and_has_its_prefix_whichever_engine_says_it():
    assert digests_of({"Id": A, "RepoDigests": [f"registry:5000/ct@{B}"]}) == [A, B]
    assert digests_of({"Id": "a" * 64, "RepoDigests": None}) == [A]


def test_the_socket_is_that_of_the_settings_then_that_of_the_environment_then_dockers(monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert socket_address(None) == "unix:///var/run/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/podman/podman.sock")
    assert socket_address(None) == "unix:///run/podman/podman.sock"
    assert socket_address("/run/other.sock") == "unix:///run/other.sock"


def test_an_engine_on_another_machine_is_refused_since_it_cannot_mount_our_folders():
    with pytest.raises(WrongUse, match="no socket of this machine"):
        socket_address("tcp://10.0.0.7:2375")


@pytest.mark.docker
def test_a_map_of_the_last_packager_is_known_by_its_manifests(toys):
    digest = toys.make("known", "", resources={"memory": "2Gi", "gpu": 1})
    _, image = found("known", digest)

    assert (image.version, image.image_id, image.own) == ("1.0.0", digest, None)
    assert (image.needs.memory, image.needs.gpu, image.needs.cpu) == ("2Gi", 1, 1)
    assert (image.choices, image.parameters) == (frozenset(), {})
    assert {part.kind for part in image.outputs} == set(ObjectKind) - {ObjectKind.KEY_IMAGE}


@pytest.mark.docker
def test_an_app_of_ours_brings_its_manifest_with_its_outputs_and_parameters(toys):
    content = (import_root() / "apps" / "ct_body_composition" / "app.yaml").read_bytes()
    digest = toys.make("ours", "", files={"/var/holoscan/app.yaml": content})
    _, image = found("ours", digest)

    assert image.own is not None
    assert {ObjectKind.SEG, ObjectKind.SR} <= image.choices


@pytest.mark.docker
def test_an_image_that_is_not_the_pinned_one_is_refused(toys):
    digest = toys.make("changed", "")
    with pytest.raises(ImageRefused, match=f"is {digest} now, and mapnode.yaml pins it to {A}"):
        allowed({"changed": A}).find("mapnode-toy-changed:1")


@pytest.mark.docker
def test_an_image_that_the_engine_does_not_have_is_refused(docker):
    with pytest.raises(ImageRefused, match="has no image mapnode-toy-absent:1: load or pull it"):
        allowed({"absent": A}).find("mapnode-toy-absent:1")


@pytest.mark.docker
def test_an_image_without_manifests_is_refused(toys):
    digest = toys.make("no-map", "", files={"/etc/holoscan/app.json": None})
    with pytest.raises(ImageRefused, match=r"is no MAP: /etc/holoscan/app.json missing"):
        allowed({"no-map": digest}).find("mapnode-toy-no-map:1")


@pytest.mark.docker
def test_an_image_with_volumes_is_refused_since_they_could_be_written_without_a_limit(toys):
    """Docker and Podman make them on the disk, whatever the root file system is."""
    digest = toys.make("volumes", "", config={"Volumes": {"/var/holoscan/output/": {}, "/data": {}, "/tmp": {}}})
    with pytest.raises(ImageRefused, match=r"declares volumes \(/data, /tmp\), .* built without VOLUME"):
        found("volumes", digest)
