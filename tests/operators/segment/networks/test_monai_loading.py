"""MonaiLoading: a chain of transforms loads what it imports of MONAI, a bundle all of it, neither the SDK's operators."""

import subprocess
import sys

import pytest

pytest.importorskip("monai")

BEGIN = """
import sys
import operators.runtime.sdk
from operators.segment.networks.monai_loading import monai_loading
with monai_loading(whole=False):
    import operators.segment.networks.torchscript
"""
PARTS = f"""{BEGIN}
rare = ("monai.deploy.operators", "monai.losses", "monai.metrics", "monai.visualize", "torch._dynamo", "torch.onnx")
print([name for name in rare if name in sys.modules])
import monai.deploy.utils.argparse_types
"""
WHOLE_AFTERWARDS = f"""{BEGIN}
with monai_loading(whole=True):
    import operators.segment.networks.monai_bundle
from monai.bundle import ComponentLocator
found = ComponentLocator().get_component_module_name
print([name for name in ("UNet", "DiceLoss", "SlidingWindowInferer", "Spacingd") if found(name) is None])
assert "monai.deploy.operators" not in sys.modules
"""


def last_line_of(code):
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_chain_of_transforms_loads_nothing_that_it_has_no_use_for():
    assert last_line_of(PARTS) == "[]"


def test_a_bundle_finds_every_class_after_it():
    assert last_line_of(WHOLE_AFTERWARDS) == "[]"
