"""Manifest: app.yaml is checked on load, and an error names the key."""

import copy
from pathlib import Path

import pytest
import yaml

from operators.core.findings import FindingCode
from operators.core.manifest import ManifestError, Model, VolumeProperty, read_manifest

APPS = Path(__file__).resolve().parents[3] / "apps"

MANIFEST = {
    "application": {"title": "test_app", "version": "1.2.3", "summary": "A test"},
    "resources": {"cpu": 2, "memory": "2Gi"},
    "mapnode": {
        "input": {
            "must": {"modality": {"any_of": ["CT"]}, "image_type": {"none_of": ["LOCALIZER"]}},
            "prefer": [{"property": "kernel", "condition": {"matches": "^B3"}, "weight": 2}],
            "accepts": ["several_volumes"],
        },
        "model": {"engine": "classical", "licence": "none"},
        "outputs": [{"kind": "seg", "description": "A SEG"}],
        "intended_use": "Tests",
        "refuses": ["MR"],
        "weak_points": ["none"],
        "parameters": {"threshold": 3},
    },
}


def write(tmp_path, change=None):
    content = copy.deepcopy(MANIFEST)
    if change is not None:
        change(content)
    path = tmp_path / "app.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_manifest_says_what_the_file_says(tmp_path):
    manifest = read_manifest(write(tmp_path))

    assert manifest.application.title == "test_app"
    wanted = manifest.mapnode.input
    assert wanted.must[VolumeProperty.IMAGE_TYPE].none_of == ("LOCALIZER",)
    assert (wanted.prefer[0].property, wanted.prefer[0].weight) == (VolumeProperty.KERNEL, 2)
    assert wanted.accepts == (FindingCode.SEVERAL_VOLUMES,)
    assert (manifest.resources.cpu, manifest.resources.gpu) == (2, 0)
    assert manifest.mapnode.parameters == {"threshold": 3}


@pytest.mark.parametrize(
    ("key", "change"),
    [
        ("application.title", lambda m: m["application"].update(title="Test App")),
        ("application.version", lambda m: m["application"].update(version="1.2")),
        ("application.summary", lambda m: m["application"].pop("summary")),
        (
            "mapnode.input.must.modalty.[key]",
            lambda m: m["mapnode"]["input"]["must"].update(modalty={"any_of": ["CT"]}),
        ),
        ("mapnode.input.must.modality", lambda m: m["mapnode"]["input"]["must"].update(modality={})),
        ("mapnode.input.must.modality.is", lambda m: m["mapnode"]["input"]["must"].update(modality={"is": "CT"})),
        ("mapnode.input.must.kernel.matches", lambda m: m["mapnode"]["input"]["must"].update(kernel={"matches": "("})),
        ("mapnode.input.prefer.0.weight", lambda m: m["mapnode"]["input"]["prefer"][0].update(weight=0)),
        ("mapnode.input.accepts.0", lambda m: m["mapnode"]["input"].update(accepts=["anything"])),
        ("mapnode.input.must", lambda m: m["mapnode"]["input"].pop("must")),
        ("mapnode.outputs.0.kind", lambda m: m["mapnode"]["outputs"][0].update(kind="mesh")),
        ("mapnode.model.engine", lambda m: m["mapnode"]["model"].update(engine="magic")),
        ("resources.cpu", lambda m: m["resources"].update(cpu="many")),
        ("resources.cpu", lambda m: m["resources"].update(cpu=-1)),
        ("resources.gpu", lambda m: m["resources"].update(gpu=-1)),
        ("extra", lambda m: m.update(extra=1)),
    ],
)
def test_error_names_the_key_and_the_file(tmp_path, key, change):
    path = write(tmp_path, change)

    with pytest.raises(ManifestError) as error:
        read_manifest(path)

    assert f"{key}: " in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("content", [b"a: [", b"", b"- 1", b"\xff\xfe\x00", b"when: 2024-13-45"])
def test_file_that_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "app.yaml"
    path.write_bytes(content)

    with pytest.raises(ManifestError, match=r"app\.yaml"):
        read_manifest(path)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="No such file"):
        read_manifest(tmp_path / "app.yaml")


@pytest.mark.parametrize("path", sorted(APPS.glob("*/app.yaml")), ids=lambda path: path.parent.name)
def test_manifest_of_each_app_is_valid_and_named_after_its_folder(path):
    assert read_manifest(path).application.title == path.parent.name


@pytest.mark.parametrize(
    ("engine", "default", "needs"),
    [("classical", False, False), ("nnunet", False, True), ("nnunet", True, False), ("monai-bundle", False, True)],
)
def test_only_a_network_without_a_classical_default_needs_weights(engine, default, needs):
    assert Model(engine=engine, classical_default=default, licence="none").needs_weights is needs


@pytest.mark.parametrize("wrong", ["RLS", "RA", "XYZ", "ras"])
def test_an_orientation_names_one_end_of_each_axis(wrong):
    with pytest.raises(ValueError, match="is no orientation"):
        Model(engine="nnunet", licence="none", orientation=wrong)
