"""The whole stack of docker/compose.yaml: a scanner sends through the host's port, SEG and SR come back."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from mapnode.demo import storescu_command
from mapnode.pacs import free_port
from tests.docker_under_test import docker_daemon
from tests.node_under_test import wait_for
from tests.test_node import make_study

DOCKER = Path(__file__).parents[2] / "docker"
BUILD = Path(__file__).parents[2] / "build"
CONFIG = "/etc/mapnode/mapnode.yaml"
pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(shutil.which("docker-compose") is None, reason="apt-get install docker-compose"),
]


class Stack:
    """The stack under a name of its own."""

    def __init__(self) -> None:
        self.dicom_port, self.viewer_port = free_port(), free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": f"mapnode-test-{os.getpid()}",
            "DICOM_PORT": str(self.dicom_port),
            "VIEWER_PORT": str(self.viewer_port),
        }

    def call(self, *arguments: str) -> str:
        done = subprocess.run(
            ["docker-compose", *arguments],
            cwd=DOCKER,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def look(self, path: str, user: str = "viewer") -> httpx.Response:
        password = (DOCKER / "secrets/viewer_password").read_text()
        url = f"http://127.0.0.1:{self.viewer_port}{path}"
        return httpx.get(url, auth=(user, password), headers={"Accept": "application/dicom+json"}, timeout=30)

    def modalities(self, study_uid: str) -> list[str]:
        answer = self.look(f"/dicom-web/studies/{study_uid}/series")
        return sorted(one["00080060"]["Value"][0] for one in answer.json()) if answer.is_success else []


@pytest.fixture(scope="module")
def stack():
    with docker_daemon():
        subprocess.run([DOCKER / "build"], check=True)
        subprocess.run([DOCKER / "make-secrets"], check=True)
        stack = Stack()
        try:
            stack.call("up", "--detach")
            yield stack
        finally:
            (BUILD / "stack.log").write_text(stack.call("logs", "--no-color"))
            stack.call("down", "--volumes", "--timeout", "20")


def healthy(stack: Stack) -> bool:
    shown = stack.call("ps")
    return shown.count("(healthy)") == 4


def send(stack: Stack, folder: Path, seed: str) -> str:
    """Send a small phantom as a scanner does; its Study Instance UID."""
    files = make_study(folder, seed)
    for command in storescu_command(files, calling="SCANNER", called="MAPNODE", port=stack.dicom_port):
        subprocess.run(command, check=True, capture_output=True)
    return dcmread(files[0]).StudyInstanceUID


def test_a_study_sent_to_the_hosts_port_comes_back_with_seg_and_sr(stack, tmp_path):
    wait_for(lambda: healthy(stack), 120, "the stack to be healthy")

    study = send(stack, tmp_path, "stack")

    wait_for(lambda: "SR" in stack.modalities(study), 120, "SEG and SR")
    assert stack.modalities(study) == ["CT", "SEG", "SR"]


def test_node_and_worker_share_the_jobs(stack):
    shown = json.loads(stack.call("exec", "-T", "node", "mapnode", "status", "--config", CONFIG, "--json"))

    assert {one["kind"]: one["state"] for one in shown["processes"]} == {"node": "running", "worker": "running"}
    assert shown["orthanc"]["state"] == "running"


def test_after_a_kill_of_every_container_the_stack_goes_on_and_what_it_did_is_not_done_again(stack, tmp_path):
    study = send(stack, tmp_path / "before", "before the kill")
    wait_for(lambda: stack.modalities(study) == ["CT", "SEG", "SR"], 120, "SEG and SR before")

    stack.call("kill")
    stack.call("up", "--detach")
    wait_for(lambda: healthy(stack), 120, "the stack to be healthy again")
    later = send(stack, tmp_path / "after", "after the kill")

    wait_for(lambda: stack.modalities(later) == ["CT", "SEG", "SR"], 120, "SEG and SR after")
    assert stack.modalities(study) == ["CT", "SEG", "SR"]


def test_the_viewer_shows_nothing_without_its_password_and_changes_nothing_with_it(stack):
    url = f"http://127.0.0.1:{stack.viewer_port}"

    assert httpx.get(f"{url}/dicom-web/studies").status_code == 401
    assert httpx.get(url).status_code == 401
    assert "OHIF" in stack.look("/").text
    password = (DOCKER / "secrets/viewer_password").read_text()
    assert httpx.post(f"{url}/dicom-web/studies", auth=("viewer", password), content=b"").status_code == 403


def test_no_process_of_the_stack_is_root_and_none_writes_its_image(stack):
    for service in ("node", "worker", "orthanc", "database", "viewer"):
        assert stack.call("exec", "-T", service, "id", "-u").strip() == "1000"
        assert stack.call("exec", "-T", service, "sh", "-c", "touch /usr/x 2>/dev/null || echo refused") == "refused\n"
