"""Orthanc's script on a fake of Orthanc's module."""

import importlib.util
import sys
from pathlib import Path

import pytest
from mapnode_plugin import sender

from tests.orthanc.fakes import FakeOrthanc, Node, configuration, eventually

SCRIPT = Path(__file__).parents[2] / "orthanc" / "plugin.py"


@pytest.fixture
def node():
    node = Node()
    yield node
    node.close()


@pytest.fixture
def load(monkeypatch):
    """Loads the script as Orthanc does, on the fake module."""
    monkeypatch.setattr(sender, "RETRY_S", 0.05)

    def load(settings):
        fake = FakeOrthanc(settings)
        monkeypatch.setitem(sys.modules, "orthanc", fake)
        specification = importlib.util.spec_from_file_location("plugin_under_test", SCRIPT)
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return fake, module

    return load


@pytest.fixture
def started(load, node, tmp_path):
    """A plugin in an Orthanc that has started, and whose node knows that; stopped at the end."""
    fake, module = load(configuration(node.url, tmp_path))
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    assert eventually(lambda: node.connections)  # the last that it notes of a post
    node.forget()
    yield fake, module
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")
