"""What docker/ says to Compose, Kubernetes and systemd is what they take, and locked down."""

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from mapnode.app_catalogue import list_apps
from mapnode.rules import load_rules
from mapnode.settings import load_settings

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
OBJECTS = [
    pytest.param(document, id=f"{document['kind']} {document['metadata'].get('name', document['metadata'])}")
    for path in sorted((DOCKER / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]


PODS = [
    pytest.param(one.values[0]["spec"]["template"]["spec"], id=one.id)
    for one in OBJECTS
    if "template" in one.values[0].get("spec", {})
]


@pytest.mark.parametrize("document", OBJECTS)
def test_every_object_of_kubernetes_fits_its_schema(document):
    try:
        kubernetes_validate.validate(document, "1.31", strict=True)
    except kubernetes_validate.ValidationError as error:
        pytest.fail(f"{error.path}: {error.message}")


def test_an_object_with_a_key_that_kubernetes_does_not_know_is_told():
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": [{"port": 1}]}}

    with pytest.raises(kubernetes_validate.ValidationError, match="prots"):
        kubernetes_validate.validate(wrong, "1.31", strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_every_pod_runs_as_nobody_with_nothing(pod):
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "memory" in container["resources"]["limits"]
        assert {mount["name"] for mount in container["volumeMounts"]} <= {
            volume["name"] for volume in pod["volumes"]
        } | {"data"}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_service_of_the_stack_is_locked_down_and_comes_back(name):
    service = COMPOSE["services"][name]

    assert (service["read_only"], service["cap_drop"], service["restart"]) == (True, ["ALL"], "unless-stopped")
    assert service["security_opt"] == ["no-new-privileges:true"]
    # A worker serves nothing that could be asked; its heartbeat is in the database.
    assert ("healthcheck" in service) == (name != "worker")


def test_every_image_is_a_target_that_docker_build_makes():
    targets = set(re.findall(r"^FROM .* AS (\w+)$", (DOCKER / "Dockerfile").read_text(), re.MULTILINE))
    used = {service["image"] for service in COMPOSE["services"].values()}
    used |= {
        container["image"]
        for one in OBJECTS
        for container in one.values[0].get("spec", {}).get("template", {}).get("spec", {}).get("containers", ())
    } - {"ct-body-composition:0.1.0"}

    assert used <= {f"mapnode-{target}:0.1.0" for target in targets}
    assert f"for target in {' '.join(('node', 'orthanc', 'database', 'viewer'))}; do" in (DOCKER / "build").read_text()


def test_no_log_of_the_stack_grows_without_end():
    for service in COMPOSE["services"].values():
        assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_only_senders_reach_the_stack_from_outside_and_the_viewer_from_this_machine():
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}

    assert ports == {"orthanc": ["${DICOM_PORT:-4242}:4242"], "viewer": ["127.0.0.1:${VIEWER_PORT:-8080}:8080"]}


def test_no_secret_stands_in_a_file_of_the_stack():
    for secret in COMPOSE["secrets"].values():
        assert not (DOCKER / secret["file"]).is_file() or "secrets/" in (DOCKER / ".gitignore").read_text()
    assert "password" not in (DOCKER / "settings/mapnode.yaml").read_text()


def test_the_settings_of_the_stack_are_settings_of_a_node():
    settings = load_settings(DOCKER / "settings/mapnode.yaml")

    assert settings.orthanc.url == "http://orthanc:8042"
    assert settings.place.is_shared
    assert load_rules(settings.rules, {app.name: app for app in list_apps()}).rules
    assert {m.host for m in settings.orthanc.modalities} == {
        COMPOSE["networks"]["default"]["ipam"]["config"][0]["gateway"]
    }


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path):
    unit = tmp_path / "mapnode.service"
    text = (DOCKER / "systemd/mapnode.service").read_text()
    # The one thing that is not on this machine.
    unit.write_text(text.replace("/opt/mapnode/bin/mapnode", "/bin/true"))

    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
