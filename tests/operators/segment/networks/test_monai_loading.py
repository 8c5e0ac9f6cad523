"""MonaiLoading: a chain of transforms loads what it imports of MONAI, a bundle all, neither the SDK's operators."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("monai")

CHAIN_THEN_BUNDLE = """
import json, sys, warnings
import operators.runtime.sdk
from operators.segment.networks.monai_loading import monai_loading
with monai_loading(whole=False):
    import operators.segment.networks.torchscript
chain = sorted(sys.modules)
with monai_loading(whole=True):
    import operators.segment.networks.monai_bundle
from monai.bundle import ComponentLocator
import monai.deploy.utils.argparse_types
warnings.warn("a warning")
found = ComponentLocator().get_component_module_name
named = {name: found(name) for name in ("UNet", "DiceLoss", "SlidingWindowInferer", "Spacingd")}
print(json.dumps({"chain": chain, "bundle": sorted(sys.modules), "named": named}))
"""
RARE = {"monai.losses", "monai.metrics", "torch._dynamo", "torch.onnx", "scipy.signal", "scipy.stats"}
SDK = "monai.deploy.operators"


@pytest.fixture(scope="module")
def loaded():
    """Modules that a chain of transforms loads, and those that are there when a bundle was loaded after it."""
    command = [sys.executable, "-c", CHAIN_THEN_BUNDLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "stderr": done.stderr}


def test_a_chain_of_transforms_loads_nothing_that_it_has_no_use_for(loaded):
    assert not {SDK, *RARE} & set(loaded["chain"])


def test_a_bundle_finds_every_class_after_it(loaded):
    assert "monai.losses" in loaded["bundle"]
    assert None not in loaded["named"].values()


def test_the_sdks_own_operators_are_left_alone(loaded):
    """They want Holoscan's operators for video, which are in no MAP."""
    assert SDK not in loaded["bundle"]


def test_a_warning_after_both_is_shown(loaded):
    """MONAI hooks itself into warnings; hooked twice it would call itself without end."""
    assert "UserWarning: a warning" in loaded["stderr"]
