"""Real MAPs: an app of ours gives the bytes of `mapnode run`, one of the SDK's stock operators runs as it is."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typeguard
from pydicom import dcmread

from mapnode.app_catalogue import find_app
from mapnode.containers.images import Images
from mapnode.containers.runner import Containers
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.settings import ImageSettings
from mapnode.share import REFERENCES_VARIABLE, import_root
from operators.core.contract import JOB_VARIABLE, Job, Status
from operators.core.reference_set import LEAST_STUDIES, build_reference_set
from tests.docker_under_test import debian_base
from tests.mapnode.containers.test_in_the_node import rule_of
from tests.mapnode.containers.toy_map import APP_JSON, PKG_JSON
from tests.node_under_test import NodeUnderTest

pytestmark = pytest.mark.docker

APP = "ct_body_composition"
OURS, FOREIGN = "mapnode-test-ours:1", "mapnode-test-stock:1"
JOB = Job(identity="5a" * 32, clock="2026-01-02T03:04:05")
DOCKERFILE = f"""
FROM {OURS}
COPY etc/ /etc/holoscan/
COPY app.yaml /var/holoscan/app.yaml
COPY benchmarks/ /opt/holoscan/app/benchmarks/
COPY typeguard/ /opt/holoscan/app/typeguard/
ENTRYPOINT ["/bin/sh", "-c", "python3 -m benchmarks.stock_app $HOLOSCAN_INPUT_PATH $HOLOSCAN_OUTPUT_PATH; exit 0"]
"""
"""Packages are those of our image, and one that the SDK's writer of Segmentations needs; operators, manifests and an
entry point that ends with 0 in any case are not."""


def run(*command, **options) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def ours(docker):
    """The app's image; its digest."""
    said = run(
        *(sys.executable, "-m", "mapnode", "package", APP, "--tag", OURS),
        *("--base-image", debian_base(), "--json"),
    )
    yield json.loads(said)["image_id"]
    run("docker", "rmi", "--force", OURS)


@pytest.fixture(scope="module")
def foreign(ours, tmp_path_factory):
    """A MAP of stock operators with manifests as holoscan-cli 4.2.0 writes them; its digest."""
    folder = tmp_path_factory.mktemp("context")
    (folder / "etc").mkdir()
    (folder / "etc" / "app.json").write_text(json.dumps(APP_JSON))
    resources = {"cpu": 1, "gpu": 0, "memory": "1Gi", "gpuMemory": "1Gi"}
    (folder / "etc" / "pkg.json").write_text(json.dumps({**PKG_JSON, "resources": resources}))
    (folder / "app.yaml").write_text("application:\n  title: Stock\n  version: 1.0.0\nresources: {cpu: 1}\n")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "benchmarks").mkdir()
    for name in ("stock_app.py", "stock_operators.py"):
        shutil.copy(import_root() / "benchmarks" / name, folder / "benchmarks")
    shutil.copytree(Path(typeguard.__file__).parent, folder / "typeguard")
    run("docker", "build", "--quiet", "--network", "none", "--tag", FOREIGN, folder)
    yield run("docker", "image", "inspect", "--format", "{{.Id}}", FOREIGN).strip()
    run("docker", "rmi", "--force", FOREIGN)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=20, spacing_mm=(5.0, 3.0, 2.0)))
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="small", uid_seed="real")
    return folder


@pytest.fixture
def run_both(ours, study, tmp_path):
    """Runs our image as a job and `mapnode run` beside it; the job's result, and what was heard of it."""

    def both():
        images, heard = Images({OURS: ImageSettings(digest=ours)}, None), []
        job = tmp_path / "var" / "jobs" / "one"
        (job / "output").mkdir(parents=True)
        runner = Containers(images, tmp_path / "var", "node-1", 0).of(images.find(OURS), "one", job)
        result = runner.run(study, job / "output", JOB, timeout_s=120, on_progress=heard.append)
        run(
            *(sys.executable, "-m", "mapnode", "run", APP, study, tmp_path / "ours"),
            env={**os.environ, JOB_VARIABLE: JOB.model_dump_json(), "PYTHONPATH": str(import_root())},
        )
        assert result.status is Status.DONE
        names = [output.path for output in result.outputs]
        assert {"seg.dcm", "sr.dcm"} <= set(names)
        for name in names:
            assert (job / "output" / name).read_bytes() == (tmp_path / "ours" / name).read_bytes(), name
        assert list((tmp_path / "var").glob("containers/*/*")) == []
        return result, heard

    return both


def test_our_image_gives_the_bytes_of_mapnode_run_and_tells_of_its_progress(run_both):
    result, heard = run_both()
    assert heard[-1].fraction == pytest.approx(1.0)
    assert any("no reference set" in sentence for sentence in result.quality.not_checked)


def test_our_image_holds_scans_against_the_sites_reference_set_as_mapnode_run_does(run_both, tmp_path, monkeypatch):
    scans = [{"noise_hu": 20.0 + index % 5, "edge_mm": 3.0 + index % 7 / 10} for index in range(LEAST_STUDIES)]
    reference = build_reference_set(APP, find_app(APP).manifest.application.version, scans, 99)
    # As a site keeps it: for the node alone.
    (tmp_path / f"{APP}.json").write_text(reference.model_dump_json())
    (tmp_path / f"{APP}.json").chmod(0o600)
    monkeypatch.setenv(REFERENCES_VARIABLE, str(tmp_path))

    result, _ = run_both()

    assert not any("no reference set" in sentence for sentence in result.quality.not_checked)
    (finding,) = (one for one in result.quality.findings if one.code == "unlike_reference_scans")
    assert f"{LEAST_STUDIES} reference scans" in finding.message, "the phantom has no noise, and they have"


def modality(client, uid: str) -> str:
    (found,) = client.lookup(uid)
    return str(dcmread(io.BytesIO(client.instance_file(found.id))).Modality)


@pytest.mark.orthanc
def test_in_the_node_both_come_back_into_the_study(ours, foreign, study, tmp_path):
    node = NodeUnderTest(
        tmp_path / "node",
        rules={"rules": [rule_of("ours", OURS), rule_of("stock", FOREIGN)]},
        images={OURS: {"digest": ours}, FOREIGN: {"digest": foreign}},
    )
    node.start()
    try:
        node.send(sorted(Path(study).iterdir()))
        jobs = {job["rule"]: job for job in node.ended_jobs(2)}
        assert {name: (job["state"], job["reason"]) for name, job in jobs.items() if job["state"] != "done"} == {}
        stored = {name: [one["sop_instance_uid"] for one in job["stored"]] for name, job in jobs.items()}
        with node.client() as client:
            kinds = {name: sorted(modality(client, uid) for uid in uids) for name, uids in stored.items()}
        assert kinds == {"ours": ["SEG", "SR"], "stock": ["SEG", "SR"]}
    finally:
        node.stop()
        node.end_orthanc()
