"""Images in the node, end to end: by rule, with a real Orthanc, and over a kill of the node."""

import highdicom as hd
import numpy as np
import pytest
import yaml
from pydicom import dcmread

from mapnode.containers.engine import Engine
from mapnode.containers.images import socket_address
from mapnode.containers.runner import NODE_LABEL
from mapnode.errors import WrongUse
from mapnode.node import Node
from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.settings import ImageSettings, Settings
from tests.node_under_test import NodeUnderTest, wait_for

pytestmark = [pytest.mark.docker, pytest.mark.orthanc]

COPY = "(OUT / 'picture').write_bytes(pathlib.Path('/data/picture').read_bytes())\n"


def rule_of(name: str, image: str):
    when = [{"attribute": "Modality", "equals": "CT"}, {"fact": "instances", "range": {"min": 5}}]
    return {"name": name, "image": image, "when": when}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=6, spacing_mm=(5.0, 6.0, 6.0)))
    folder = tmp_path_factory.mktemp("study")
    return write_ct_series(phantom.hu, phantom.affine_lps, folder, description="axial", uid_seed="images")


def picture(reference, uid: str, *, patient_id=None):
    """A Secondary Capture as anybody's MAP may make one."""
    made = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=reference,
        pixel_array=np.zeros((8, 8), np.uint8),
        photometric_interpretation="MONOCHROME2",
        bits_allocated=8,
        coordinate_system="PATIENT",
        series_instance_uid=f"2.25.{uid}1",
        sop_instance_uid=f"2.25.{uid}2",
        series_number=9,
        instance_number=1,
        manufacturer="somebody",
        patient_orientation=("L", "P"),
    )
    if patient_id is not None:
        made.PatientID = patient_id
    return made


@pytest.fixture
def start_node(toys, study, tmp_path):
    """Starts a node with a rule for each toy: its code, and the picture that it has with it."""
    nodes = []

    def start(**maps) -> NodeUnderTest:
        images, rules = {}, []
        for name, (code, made) in maps.items():
            made.save_as(tmp_path / name)
            digest = toys.make(f"node-{name}", code, files={"/data/picture": tmp_path / name})
            images[f"mapnode-toy-node-{name}:1"] = {"digest": digest}
            rules.append(rule_of(name, f"mapnode-toy-node-{name}:1"))
        node = NodeUnderTest(tmp_path / "node", rules={"rules": rules}, images=images)
        nodes.append(node)
        node.start()
        return node

    yield start
    for node in nodes:
        if node.process.poll() is None:
            node.stop()
        node.end_orthanc()


def containers_of(node) -> list[str]:
    with Engine(socket_address(None)) as engine:
        return list(engine.labelled({NODE_LABEL: str(node.var.resolve())}))


def test_a_foreign_maps_result_comes_back_into_the_study_and_another_patients_does_not(start_node, study):
    reference = dcmread(study[0])
    node = start_node(
        foreign=(COPY, picture(reference, "1")), stranger=(COPY, picture(reference, "2", patient_id="SOMEBODY-ELSE"))
    )
    node.send(study)
    jobs = {job["rule"]: job for job in node.ended_jobs(2)}

    assert jobs["foreign"]["state"] == "done", jobs["foreign"]["reason"]
    assert [(one["sop_instance_uid"], one["status"]) for one in jobs["foreign"]["stored"]] == [("2.25.12", "Success")]
    assert jobs["stranger"]["state"] == "quarantined"
    assert "PatientID is not the source's" in jobs["stranger"]["reason"]
    with node.client() as client:
        assert len(client.lookup("2.25.12")) == 1
        assert client.lookup("2.25.22") == []
    assert containers_of(node) == []
    assert list(node.var.glob("containers/*/*")) == []


def test_a_node_that_is_killed_while_a_container_runs_leaves_none_and_does_its_job_once(start_node, study):
    node = start_node(slow=("time.sleep(3)\n" + COPY, picture(dcmread(study[0]), "3")))
    node.send(study)
    (before,) = wait_for(lambda: containers_of(node), 120, "a container")
    node.kill()
    assert containers_of(node) == [before]
    node.start()
    (job,) = node.ended_jobs(1)

    assert job["state"] == "done", job["reason"]
    assert [one["sop_instance_uid"] for one in job["stored"]] == ["2.25.32"]
    assert containers_of(node) == []
    wait_for(lambda: not list(node.var.glob("containers/*/*")), 30, "the folders to go")


def test_a_node_does_not_start_with_an_image_that_is_not_the_pinned_one(toys, tmp_path):
    toys.make("node-changed", "")
    image = "mapnode-toy-node-changed:1"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": [rule_of("changed", image)]}))
    settings = Settings(rules=tmp_path / "rules.yaml", images={image: ImageSettings(digest="sha256:" + "a" * 64)})

    with pytest.raises(WrongUse, match=r"rule changed: the image .* mapnode.yaml pins it to sha256:aaaa"):
        Node(settings)
