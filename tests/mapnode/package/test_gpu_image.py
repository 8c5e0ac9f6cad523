"""The image of an app for GPUs, whole: NVIDIA's libraries in it; without a GPU the results of `mapnode run`."""

import json

import pytest

from operators.core.contract import JOB_VARIABLE
from tests.mapnode.package.test_image import JOB, LOCKED_DOWN, mapnode, run, run_image

pytestmark = [pytest.mark.docker, pytest.mark.long]

APP, TAG = "ct_body_composition", "mapnode-test-gpu:1"
WHAT_LOADS = """
import ctypes, json, pathlib, torch
missing = []
for path in sorted(pathlib.Path("/opt/holoscan/python/nvidia").rglob("*.so*")):
    try:
        ctypes.CDLL(str(path))
    except OSError:
        missing.append(path.name)
print(json.dumps([torch.version.cuda, torch.cuda.is_available(), torch.backends.cudnn.is_available(), missing]))
"""
CLUSTERS = ("libcufile_rdma", "nvshmem_bootstrap_", "nvshmem_transport_")
"""Of several machines: they ask for InfiniBand and MPI, and are loaded where those are."""


@pytest.fixture(scope="module")
def image(base, tissue_model):
    """The app's image for GPUs, loaded: 4 GB, of 2.5 GB of wheels."""
    options = ("--tag", TAG, "--base-image", base, "--model", tissue_model, "--platform", "cuda", "--json")
    yield json.loads(mapnode("package", APP, *options).stdout)
    run("docker", "rmi", "--force", TAG, check=False)


def test_torch_is_built_for_gpus_and_finds_its_libraries(image):
    done = run("docker", "run", *LOCKED_DOWN, "--entrypoint", "python3", TAG, "-c", WHAT_LOADS)
    cuda, _, has_cudnn, missing = json.loads(done.stdout)
    assert cuda.startswith("13.")
    assert has_cudnn
    assert [name for name in missing if not name.startswith(CLUSTERS)] == []


def test_it_asks_the_node_for_a_gpu(image):
    assert json.loads(mapnode("map", "inspect", TAG, "--json").stdout)["pkg"]["resources"]["gpu"] == 1


def test_without_a_gpu_it_gives_the_bytes_of_mapnode_run_on_the_cpu(
    image, tissue_model, tissue_study, output, tmp_path
):
    done = run_image(tissue_study, output, tag=TAG)
    assert done.returncode == 0, done.stderr[-2000:]
    mapnode("run", APP, tissue_study, tmp_path / "ours", "--model", tissue_model, environment={JOB_VARIABLE: JOB})
    for name in ("seg.dcm", "sr.dcm", "key_image.png"):
        assert (output / name).read_bytes() == (tmp_path / "ours" / name).read_bytes(), name
