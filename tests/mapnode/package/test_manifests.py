"""app.json and pkg.json: the specification's, and what holoscan-cli 4.2.0 made of it."""

import json

import pytest

from mapnode.package.manifests import (
    ManifestInvalid,
    PackagedModel,
    deviations,
    read_app_manifest,
    read_package_manifest,
)

FOREIGN_APP = r"""
{"apiVersion": "1.0.0", "command": "[\"python3\", \"/opt/holoscan/app/app.py\"]", "environment":
{"HOLOSCAN_APPLICATION": "/opt/holoscan/app", "HOLOSCAN_INPUT_PATH": "input/", "HOLOSCAN_OUTPUT_PATH": "output/",
"HOLOSCAN_WORKDIR": "/var/holoscan", "HOLOSCAN_MODEL_PATH": "/opt/holoscan/models",
"HOLOSCAN_CONFIG_PATH": "/var/holoscan/app.yaml",
"HOLOSCAN_APP_MANIFEST_PATH": "/etc/holoscan/app.json", "HOLOSCAN_PKG_MANIFEST_PATH": "/etc/holoscan/pkg.json",
"HOLOSCAN_DOCS_PATH": "/opt/holoscan/docs", "HOLOSCAN_LOGS_PATH": "/var/holoscan/logs"}, "input": {"path": "input/",
"formats": ["file"]}, "liveness": null, "output": {"path": "output/", "formats": ["screen"]}, "readiness": null, "sdk":
"monai-deploy", "sdkVersion": "3.0.0", "timeout": 0, "version": "1.0.0", "workingDirectory": "/var/holoscan"}
"""
"""What holoscan-cli 4.2.0 wrote for an app.yaml with input-formats, output-formats and one model."""
FOREIGN_PKG = """
{"apiVersion": "1.0.0", "applicationRoot": "/opt/holoscan/app", "modelRoot": "/opt/holoscan/models", "models":
{"spleen": "/opt/holoscan/models/spleen"}, "resources": {"cpu": 1, "gpu": 1, "memory": "1Gi", "gpuMemory": "6Gi"},
"version": "1.0.0", "platformConfig": "dgpu"}
"""
APP = {
    "apiVersion": "1.0.0",
    "type": "application",
    "command": "python3 '/opt/my app/app.py' --fast",
    "input": {"path": "input/", "formats": [{"type": "file"}]},
    "output": {"path": "output/", "format": {"type": "file"}},
    "version": "1.2.3-rc.1",
}
PKG = {
    "apiVersion": "1.0.0",
    "applicationRoot": "/opt/holoscan/app/",
    "models": [{"name": "spleen"}, {"name": "liver", "path": "deep/liver"}, {"name": "own", "path": "/own/place"}],
    "version": "1.2.3-rc.1",
}


def read(app=APP, pkg=PKG):
    return read_app_manifest(json.dumps(app)), read_package_manifest(json.dumps(pkg))


def test_the_specifications_form_is_read_without_a_word():
    app, pkg = read()
    assert app.argv == ["python3", "/opt/my app/app.py", "--fast"]
    assert deviations(app, pkg) == []


def test_the_specifications_defaults_hold_where_nothing_is_said():
    app, pkg = read()
    assert (app.timeout, app.working_directory) == (0, "/var/holoscan/")
    assert (pkg.model_root, pkg.resources.cpu, pkg.resources.gpu) == ("/opt/holoscan/models/", 1, 0)
    assert (pkg.resources.memory, pkg.resources.shared_memory) == ("1Gi", "64Mi")


def test_a_model_lies_below_the_model_root_by_its_name_unless_a_path_is_given():
    assert read()[1].model_paths == {
        "spleen": "/opt/holoscan/models/spleen",
        "liver": "/opt/holoscan/models/deep/liver",
        "own": "/own/place",
    }


def test_what_the_last_packager_wrote_is_read():
    app, pkg = read_app_manifest(FOREIGN_APP), read_package_manifest(FOREIGN_PKG)
    assert app.argv == ["python3", "/opt/holoscan/app/app.py"]
    assert app.environment["HOLOSCAN_INPUT_PATH"] == "input/"
    assert app.output.formats == ("screen",)
    assert pkg.model_paths == {"spleen": "/opt/holoscan/models/spleen"}
    assert (pkg.resources.gpu, pkg.resources.gpu_memory, pkg.platform_config) == (1, "6Gi", "dgpu")


def test_what_the_last_packager_left_out_is_said():
    found = deviations(read_app_manifest(FOREIGN_APP), read_package_manifest(FOREIGN_PKG))
    assert [text.split(";")[0] for text in found] == [
        "app.json has no type",
        "app.json's command is an array",
        "app.json has no output.format, which the specification requires",
        "pkg.json's models are an object",
    ]


def test_versions_that_disagree_are_said():
    assert deviations(*read(pkg={**PKG, "version": "1.2.4"})) == ["app.json is version 1.2.3-rc.1, pkg.json 1.2.4"]


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"command": ""}, "the command is empty"),
        ({"command": '["python3"'}, "neither a shell command nor a JSON array"),
        ({"command": "python3 'open"}, "neither a shell command nor a JSON array"),
        ({"version": ""}, "version: "),
        ({"timeout": -1}, "timeout: "),
        ({"type": "demon"}, "type: "),
        ({"workingDirectory": "var"}, "workingDirectory: "),
        ({"input": None}, "input: "),
        ({"environment": {"A": {"b": 1}}}, "environment.A: "),
        ({"readiness": {"type": "http-get", "port": 80}}, "a probe of type http-get needs a path"),
        ({"liveness": {"type": "tcp", "port": 70000}}, "liveness.port: "),
        ({"liveness": {"type": "command"}}, "a probe of type command needs a command"),
    ],
)
def test_a_wrong_field_of_app_json_is_named(change, where):
    with pytest.raises(ManifestInvalid, match=where) as caught:
        read(app={**APP, **change})
    assert str(caught.value).startswith("app.json: ")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"applicationRoot": "opt"}, "applicationRoot: "),
        ({"models": [{"name": "two words"}]}, "models"),
        ({"resources": {"memory": "1 GB"}}, "resources.memory: "),
        ({"resources": {"cpu": -1}}, "resources.cpu: "),
        ({"resources": {"gpuMemory": "6G"}}, "resources.gpuMemory: "),
    ],
)
def test_a_wrong_field_of_pkg_json_is_named(change, where):
    with pytest.raises(ManifestInvalid, match=where) as caught:
        read(pkg={**PKG, **change})
    assert str(caught.value).startswith("pkg.json: ")


@pytest.mark.parametrize("text", ["", "{", "[]", b"\xff", "null"])
def test_what_is_no_json_object_is_refused_in_a_sentence(text):
    with pytest.raises(ManifestInvalid, match=r"pkg\.json: document: "):
        read_package_manifest(text)


def test_what_is_written_is_read_back_the_same():
    for kept in read():
        reader = read_app_manifest if hasattr(kept, "argv") else read_package_manifest
        assert reader(kept.to_json()) == kept


def test_names_in_the_document_are_the_specifications():
    document = json.loads(read(app={**APP, "sdkVersion": "4.0.0"})[0].to_json())
    assert {"apiVersion", "sdkVersion", "workingDirectory"} <= document.keys()
    assert "outputs" not in document
    assert PackagedModel(name="a").to_json() == '{\n  "name": "a"\n}\n'


@pytest.mark.parametrize(("written", "read_as"), [(1.0, "1.0"), (2, "2"), ("1.0", "1.0"), ("3.0.0rc1", "3.0.0rc1")])
def test_a_version_that_is_none_is_read_and_said(written, read_as):
    """Of `version: 1.0`, as the SDK's own examples have it, the last packager makes a number."""
    app, pkg = read({**APP, "version": written, "sdkVersion": written}, {**PKG, "version": written})
    assert (app.version, pkg.version, app.sdk_version) == (read_as, read_as, read_as)
    assert deviations(app, pkg) == [
        f"app.json's version {read_as} is no semantic version (1.0.0), which the specification requires"
    ]


def test_what_is_null_says_nothing():
    app, pkg = read(
        {**APP, "environment": None, "timeout": None, "workingDirectory": None},
        {**PKG, "resources": {"cpu": None, "memory": None, "gpuMemory": None}, "modelRoot": None},
    )
    assert (app.environment, app.timeout, app.working_directory) == ({}, 0, "/var/holoscan/")
    assert (pkg.resources.cpu, pkg.resources.memory) == (1, "1Gi")
    assert read(pkg={**PKG, "resources": None})[1].resources == pkg.resources
