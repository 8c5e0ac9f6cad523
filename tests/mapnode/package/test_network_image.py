"""The image of an app with a network, whole: torch and the engine of its model in it, the results of `mapnode run`."""

import json

import pytest
import yaml

from operators.core.contract import JOB_VARIABLE
from tests.mapnode.package.test_image import EVERY_LIBRARY, FOUND_ELSEWHERE, JOB, LOCKED_DOWN, mapnode, run, run_image

pytestmark = [pytest.mark.docker, pytest.mark.long]

APP, TAG = "ct_body_composition", "mapnode-test-network:1"
GOAL_BYTES = 1.1e9
WHAT_IS_THERE = """
import importlib.util, pathlib
names = ("torch", "monai", "nnunetv2", "pandas", "matplotlib", "sympy", "requests", "SimpleITK", "grpc")
print([name for name in names if importlib.util.find_spec(name)])
print(sorted(path.stem for path in pathlib.Path("/opt/holoscan/app/operators/segment/networks").glob("*.py")))
"""


@pytest.fixture(scope="module")
def image(base, tissue_model):
    """The app's image with the model, loaded; what `mapnode package` says of it."""
    done = mapnode("package", APP, "--tag", TAG, "--base-image", base, "--model", tissue_model, "--json")
    yield json.loads(done.stdout)
    run("docker", "rmi", "--force", TAG, check=False)


def test_locked_down_it_gives_the_bytes_of_mapnode_run(image, tissue_model, tissue_study, output, tmp_path):
    done = run_image(tissue_study, output, tag=TAG)
    assert done.returncode == 0, done.stderr[-2000:]
    mapnode("run", APP, tissue_study, tmp_path / "ours", "--model", tissue_model, environment={JOB_VARIABLE: JOB})
    for name in ("seg.dcm", "sr.dcm", "key_image.png"):
        assert (output / name).read_bytes() == (tmp_path / "ours" / name).read_bytes(), name


def test_it_is_no_larger_than_is_promised(image):
    assert image["bytes"] <= GOAL_BYTES


def test_nothing_is_in_it_that_the_model_has_no_use_for(image):
    done = run("docker", "run", *LOCKED_DOWN, "--entrypoint", "python3", TAG, "-c", WHAT_IS_THERE)
    packages, modules = map(yaml.safe_load, done.stdout.splitlines())
    assert packages == ["torch", "monai"]
    assert "torchscript" in modules
    assert not {"nnunet", "monai_bundle"} & set(modules)


def test_every_shared_library_finds_those_that_it_needs(image):
    done = run("docker", "run", *LOCKED_DOWN, "--entrypoint", "python3", TAG, "-c", EVERY_LIBRARY)
    assert done.stdout == f"{FOUND_ELSEWHERE} True\n"
