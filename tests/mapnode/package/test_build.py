"""An image from a plan: what is in it, what it says, and that it comes out the same each time."""

import dataclasses
import hashlib
import io
import json
import os
import shutil
import tarfile

import pytest

from mapnode.package import layout
from mapnode.package.archive import ImageArchive, files_of
from mapnode.package.build import build, cache_folder, load, write
from mapnode.package.inspect_map import inspect_map
from mapnode.share import import_root
from tests.mapnode.package.wheels import WHEEL_NAME


@pytest.fixture(scope="module")
def built(plan, base_tar, wheelhouse, cache):
    return build(plan, "ct:1", str(base_tar), wheelhouse)


def members(built):
    found = {}
    for layer in built.image.layers:
        with tarfile.open(layer.path) as tar:
            found.update({f"/{member.name}": member for member in tar})
    return found


def test_an_image_holds_the_app_its_operators_and_packages_and_nothing_else_of_ours(built):
    names = members(built)
    assert {
        "/opt/holoscan/app/app.py",
        "/opt/holoscan/app/app.yaml",
        "/opt/holoscan/app/operators/core/catalogue.yaml",
        "/opt/holoscan/app/operators/runtime/application.py",
        "/opt/holoscan/python/speck/__init__.py",
        "/opt/holoscan/docs/README.md",
        "/var/holoscan/tools",
        "/var/holoscan/app.yaml",
        "/etc/holoscan/app.json",
        "/etc/holoscan/pkg.json",
    } <= names.keys()
    assert not [name for name in names if "mapnode" in name or "/tests/" in name or name.endswith("/worker.py")]


def test_every_module_of_ours_has_its_pyc(built):
    names = members(built)
    for name in [name for name in names if name.startswith("/opt/holoscan/app/operators/") and name.endswith(".py")]:
        folder, _, module = name.removesuffix(".py").rpartition("/")
        assert any(other.startswith(f"{folder}/__pycache__/{module}.cpython") for other in names), name


def test_folders_to_mount_are_there_and_the_entry_point_may_be_executed(built):
    found = members(built)
    assert all(found[folder].isdir() for folder in layout.FOLDERS)
    assert found[layout.ENTRY_POINT].mode == 0o755


def test_no_layer_of_ours_puts_a_folder_in_the_place_of_a_link_of_debians(built):
    for layer in built.image.layers[1:]:
        with tarfile.open(layer.path) as tar:
            assert not {"var/run", "var/lock", "bin", "sbin", "lib", "lib64"} & set(tar.getnames())


def test_files_in_the_image_are_those_of_the_checkout(built):
    wanted = {f"{layout.APP_ROOT}/{file.as_posix()}": import_root() / file for file in built.plan.closure.files}
    found = files_of((layer.path.open("rb") for layer in built.image.layers), wanted.keys())
    assert found == {name: path.read_bytes() for name, path in wanted.items()}


def test_a_rebuild_from_nothing_has_the_same_id(built, plan, base_tar, wheelhouse, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    again = build(plan, "ct:2", str(base_tar), wheelhouse)
    assert again.image.image_id == built.image.image_id
    assert not {layer.path for layer in again.image.layers[1:]} & {layer.path for layer in built.image.layers[1:]}


def test_a_changed_app_changes_the_uppermost_layer_alone(built, plan, base_tar, wheelhouse, tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    for name in ("app.py", "app.yaml"):
        (folder / name).write_bytes((plan.app.folder / name).read_bytes() + b"\n# changed\n")
    changed = dataclasses.replace(plan, app=dataclasses.replace(plan.app, folder=folder))
    again = build(changed, "ct:1", str(base_tar), wheelhouse)
    assert again.image.layers[:-1] == built.image.layers[:-1]
    assert again.image.image_id != built.image.image_id


def test_a_model_lies_below_the_model_root_by_its_folders_name(plan, base_tar, wheelhouse, cache, tmp_path):
    (tmp_path / "net" / "fold_0").mkdir(parents=True)
    (tmp_path / "net" / "fold_0" / "weights.pth").write_bytes(b"w")
    built = build(dataclasses.replace(plan, model=tmp_path / "net"), "ct:1", str(base_tar), wheelhouse)
    assert "/opt/holoscan/models/net/fold_0/weights.pth" in members(built)
    write(built, tmp_path / "ct.tar")
    assert inspect_map(str(tmp_path / "ct.tar")).package.model_paths == {"net": "/opt/holoscan/models/net"}


def test_the_configuration_is_that_of_a_map(built):
    config = built.image.config["config"]
    assert config["User"] == "1000:1000"
    assert config["Entrypoint"] == ["/var/holoscan/tools"]
    assert config["WorkingDir"] == "/var/holoscan"
    variables = dict(text.split("=", 1) for text in config["Env"])
    # MAP specification 1.0.0, Table of Environment Variables.
    assert {
        "HOLOSCAN_INPUT_PATH": "/var/holoscan/input",
        "HOLOSCAN_OUTPUT_PATH": "/var/holoscan/output",
        "HOLOSCAN_WORKDIR": "/var/holoscan",
        "HOLOSCAN_MODEL_PATH": "/opt/holoscan/models",
        "HOLOSCAN_CONFIG_PATH": "/var/holoscan/app.yaml",
        "HOLOSCAN_DOCS": "/opt/holoscan/docs",
        "HOLOSCAN_LOGS": "/var/holoscan/logs",
    }.items() <= variables.items()
    assert config["Labels"]["org.opencontainers.image.version"] == built.plan.app.manifest.application.version
    assert not [name for name in variables if "NVIDIA" in name], "a CPU image demands no GPU"


def test_a_cuda_image_asks_for_the_gpu(plan, base_tar, wheelhouse, cache, tmp_path):
    built = build(dataclasses.replace(plan, platform="cuda"), "ct:1", str(base_tar), wheelhouse)
    assert "NVIDIA_VISIBLE_DEVICES=all" in built.image.config["config"]["Env"]
    write(built, tmp_path / "ct.tar")
    package = inspect_map(str(tmp_path / "ct.tar")).package
    assert (package.platform_config, package.resources.gpu) == ("dgpu", 1), "the app alone asks for none"


def test_a_second_build_of_a_version_in_the_wheelhouse_changes_nothing(
    built, plan, base_tar, wheelhouse, tmp_path, monkeypatch
):
    """As torch for CPUs beside torch for GPUs: pip would take the one with the local version, and refuse its hash."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    both = shutil.copytree(wheelhouse, tmp_path / "wheels")
    shutil.copy(both / WHEEL_NAME, both / WHEEL_NAME.replace("1.0", "1.0+other"))
    assert build(plan, "ct:1", str(base_tar), both).image.image_id == built.image.image_id


def test_what_is_written_is_a_map_without_a_warning(built, tmp_path):
    paths = write(built, tmp_path / "ct.tar")
    assert [path.name for path in paths] == ["ct.tar", "ct.cdx.json", "ct.provenance.json"]
    found = inspect_map(str(tmp_path / "ct.tar"))
    assert found.warnings == ()
    assert found.title == "ct_body_composition"
    assert found.app.argv == ["python3", "/opt/holoscan/app/app.py"]
    assert (found.package.resources.cpu, found.package.resources.memory) == (2, "4Gi")


def test_the_sbom_names_every_package_with_its_version(built, tmp_path):
    write(built, tmp_path / "ct.tar")
    document = json.loads((tmp_path / "ct.cdx.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    assert [component["purl"] for component in document["components"]] == [
        "pkg:pypi/speck@1.0",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?distro=bookworm",
    ]
    assert document["metadata"]["component"]["hashes"][0]["content"] == built.image.image_id


def test_the_provenance_names_image_lock_and_layers_by_digest(built, tmp_path):
    write(built, tmp_path / "ct.tar")
    document = json.loads((tmp_path / "ct.provenance.json").read_text())
    assert document["subject"] == [{"name": "ct:1", "digest": {"sha256": built.image.image_id}}]
    known = document["predicate"]["buildDefinition"]["resolvedDependencies"]
    digests = {item["name"]: item["digest"] for item in known}
    assert digests["requirements.lock"] == {"sha256": hashlib.sha256(built.plan.needed.lock.encode()).hexdigest()}
    assert {layer.digest for layer in built.image.layers} <= {item["digest"].get("sha256") for item in known}
    assert str(tmp_path) not in json.dumps(document)


class FakeEngine:
    """An engine that keeps what it is given."""

    program = "docker"

    def __init__(self, layers: list[str]) -> None:
        self.layers = layers
        self.archives: list[bytes] = []

    def image(self, name):
        return {"RootFS": {"Layers": self.layers}}

    def load(self, write):
        file = io.BytesIO()
        write(file)
        self.archives.append(file.getvalue())


def layers_in(archive: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        named = ImageArchive(tar, "x").layers
        return {name.rsplit("/", 1)[-1] for name in named if name in tar.getnames()}


def test_an_engine_gets_only_the_layers_that_it_has_not(built):
    digests = [layer.digest for layer in built.image.layers]
    engine = FakeEngine([f"sha256:{digest}" for digest in (*digests[:2], "0" * 64)])
    load(built, engine)
    assert layers_in(engine.archives[0]) == set(digests[2:])


def test_an_engine_that_has_none_of_the_layers_gets_all(built):
    engine = FakeEngine([])
    load(built, engine)
    assert layers_in(engine.archives[0]) == {layer.digest for layer in built.image.layers}


def test_the_cache_lies_where_the_system_says(cache):
    assert cache_folder() == cache


def test_other_weights_of_the_same_size_and_date_are_another_layer(plan, base_tar, wheelhouse, cache, tmp_path):
    """As two checkpoints of one network are, taken out of archives that date everything alike."""
    found = []
    for content in (b"first", b"other"):
        shutil.rmtree(tmp_path / "net", ignore_errors=True)
        (tmp_path / "net").mkdir()
        (tmp_path / "net" / "weights.pth").write_bytes(content)
        os.utime(tmp_path / "net" / "weights.pth", (315_532_800, 315_532_800))
        built = build(dataclasses.replace(plan, model=tmp_path / "net"), "ct:1", str(base_tar), wheelhouse)
        found += files_of(
            (x.path.open("rb") for x in built.image.layers), {f"{layout.MODEL_ROOT}/net/weights.pth"}
        ).values()
    assert found == [b"first", b"other"]


def test_linked_weights_are_in_the_image(plan, base_tar, wheelhouse, cache, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "blob").write_bytes(b"w")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "weights.pth").symlink_to(tmp_path / "store" / "blob")
    built = build(dataclasses.replace(plan, model=tmp_path / "linked"), "ct:1", str(base_tar), wheelhouse)
    assert members(built)["/opt/holoscan/models/linked/weights.pth"].isreg()


def test_a_file_that_may_be_run_since_the_last_build_may_be_run_in_the_image(
    plan, base_tar, wheelhouse, cache, tmp_path
):
    folder = shutil.copytree(plan.app.folder, tmp_path / "app")
    (folder / "tool").write_bytes(b"#!/bin/sh\n")
    changed = dataclasses.replace(plan, app=dataclasses.replace(plan.app, folder=folder))
    for mode in (0o644, 0o755):
        (folder / "tool").chmod(mode)
        built = build(changed, "ct:1", str(base_tar), wheelhouse)
        assert members(built)["/opt/holoscan/app/tool"].mode == mode
