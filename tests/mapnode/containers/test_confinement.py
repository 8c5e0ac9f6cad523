"""Confinement: every container gets the whole of it, and no more than its manifest asks for."""

import os

import pytest

from mapnode.containers.confinement import Folders, container_config, container_paths, host_config, user_of
from mapnode.containers.images import MapImage
from mapnode.package.manifests import read_app_manifest, read_package_manifest
from tests.mapnode.containers.toy_map import APP_JSON, ENVIRONMENT, PKG_JSON, json


def image(resources=None, memory="256Mi", environment=ENVIRONMENT, app=None) -> MapImage:
    package = {**PKG_JSON, "resources": {**PKG_JSON["resources"], **(resources or {})}}
    return MapImage(
        name="toy:1",
        digest="sha256:" + "a" * 64,
        image_id="sha256:" + "b" * 64,
        app=read_app_manifest(json.dumps({**APP_JSON, **(app or {})})),
        package=read_package_manifest(json.dumps(package)),
        own=None,
        memory=memory,
        output_bytes=1000,
        environment=environment,
        user="holoscan",
    )


@pytest.fixture
def folders(tmp_path):
    return Folders(tmp_path / "in", tmp_path / "out")


def test_there_is_neither_network_nor_capability_nor_new_privilege_nor_a_root_that_can_be_written(folders):
    host = host_config(image(), folders)

    assert (host["network_mode"], host["read_only"], host["ipc_mode"]) == ("none", True, "private")
    assert (host["cap_drop"], host["security_opt"]) == (["ALL"], ["no-new-privileges"])
    assert "privileged" not in host
    assert "devices" not in host


def test_limits_are_those_of_pkg_json_without_swap(folders):
    host = host_config(image({"cpu": 1, "sharedMemory": "32MiB"}, memory="1.5Gi"), folders)

    assert (host["mem_limit"], host["memswap_limit"]) == (1610612736, 1610612736)
    assert (host["nano_cpus"], host["shm_size"]) == (1_000_000_000, 32 * 2**20)
    assert host["pids_limit"] > 0
    assert {one["name"]: one["hard"] for one in host["ulimits"]}["fsize"] == 1000


def test_more_cpus_than_the_machine_has_are_not_asked_for(folders):
    assert host_config(image({"cpu": 1000}), folders)["nano_cpus"] == (os.cpu_count() or 1) * 10**9


def test_libraries_start_as_many_threads_as_there_are_cpus_unless_the_image_says_how_many(folders):
    says = container_config(image({"cpu": 0.5}), folders, {}, {})["environment"]
    own = container_config(image(environment={**ENVIRONMENT, "OMP_NUM_THREADS": "7"}), folders, {}, {})["environment"]

    assert (says["OMP_NUM_THREADS"], says["OPENBLAS_NUM_THREADS"]) == ("1", "1")
    assert "OMP_NUM_THREADS" not in own


def test_a_gpu_is_given_only_where_it_is_asked_for_and_half_a_one_is_one(folders):
    assert "device_requests" not in host_config(image({"gpu": 0}), folders)
    (request,) = host_config(image({"gpu": 0.5}), folders)["device_requests"]
    assert (request["count"], request["capabilities"]) == (1, [["gpu"]])


def test_where_no_gpu_is_asked_for_a_runtime_that_would_give_one_is_told_not_to(folders):
    assert container_config(image(), folders, {}, {})["environment"]["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in container_config(image({"gpu": 1}), folders, {}, {})["environment"]


def test_input_is_mounted_read_only_and_output_is_not(folders):
    mounts = host_config(image(), folders)["mounts"]

    assert [(one["Target"], one["ReadOnly"]) for one in mounts] == [
        ("/var/holoscan/input", True), ("/var/holoscan/output", False)
    ]  # fmt: skip


def test_the_sites_reference_set_is_mounted_read_only_where_there_is_one(folders, tmp_path):
    given = Folders(folders.input, folders.output, tmp_path / "ct.json")

    (mount,) = (one for one in host_config(image(), given)["mounts"] if one["Source"].endswith("ct.json"))

    assert (mount["Target"], mount["ReadOnly"]) == ("/run/mapnode/reference.json", True)


def test_folders_are_those_of_the_environment_which_the_app_reads_else_those_of_app_json():
    app = read_app_manifest(json.dumps({**APP_JSON, "input": {"path": "in/"}, "output": {"path": "/elsewhere"}}))

    assert container_paths(app, {}) == ("/var/holoscan/in", "/elsewhere")
    assert container_paths(app, ENVIRONMENT) == ("/var/holoscan/input", "/var/holoscan/output")


@pytest.mark.parametrize(
    ("image_user", "uid", "user"),
    [
        ("1234:5", 0, "1234:5"),
        ("", 0, "1000:1000"),
        ("0", 0, "1000:1000"),
        ("00:7", 0, "1000:1000"),
        ("root", 0, "1000:1000"),
        ("holoscan", 0, "1000:1000"),
        ("1234", 998, "998:997"),
        ("root", 998, "998:997"),
    ],
)
def test_nobody_is_root_and_where_the_node_is_not_root_files_belong_to_it(image_user, uid, user):
    assert user_of(image_user, uid, 997) == user
