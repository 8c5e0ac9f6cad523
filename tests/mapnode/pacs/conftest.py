"""A real Orthanc on free ports, a real receiver of events, real senders."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from mapnode.pacs import OrthancProcess, PluginSettings
from mapnode.phantom import build_trunk_phantom, write_ct_series
from tests.mapnode.pacs.helpers import TOKEN, Received, orthanc_settings

SLICES = 6


def have_orthanc() -> bool:
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return all(shutil.which(name, path=path) for name in ("Orthanc", "storescu"))


def pytest_collection_modifyitems(items):
    """Tests that need Orthanc say why they are skipped."""
    if have_orthanc():
        return
    for item in items:
        if item.get_closest_marker("orthanc"):
            item.add_marker(pytest.mark.skip(reason="Orthanc or dcmtk is not installed"))


@pytest.fixture(scope="module")
def received():
    receiver = Received()
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory, received):
    """An Orthanc with the plugin, shared by a module's tests."""
    settings = orthanc_settings(
        tmp_path_factory.mktemp("orthanc"), plugin=PluginSettings(event_url=received.url, token=TOKEN)
    )
    with OrthancProcess(settings) as process:
        yield process


@pytest.fixture(scope="module")
def client(orthanc):
    with orthanc.client() as client:
        yield client


@pytest.fixture(scope="session")
def phantom():
    return build_trunk_phantom()


@pytest.fixture
def make_series(phantom, tmp_path):
    """Writes a small CT series; equal names give equal UIDs."""

    def make(name: str, *, brighter: int = 0, slices: int = SLICES, **more) -> list[Path]:
        folder = tmp_path / f"{name} {brighter} {len(more)}"
        return write_ct_series(phantom.hu[:slices] + brighter, phantom.affine_lps, folder, uid_seed=name, **more)

    return make


@pytest.fixture
def kill_at_end():
    """Takes process ids of what this test started, and kills what is left of them."""
    pids = []
    yield pids
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
