"""What the tests of packaging share: wheels, a base and a plan that are small and need no network."""

import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.container import trained_model
from mapnode.app_catalogue import find_app
from mapnode.package.build import cache_folder
from mapnode.package.closure import find_closure
from mapnode.package.distributions import LockedPackage, NeededPackages
from mapnode.package.layers import write_layer
from mapnode.package.plan import Plan
from mapnode.phantom import write_ct_series
from mapnode.share import import_root
from tests.docker_under_test import debian_base, engine_under_test
from tests.mapnode.package.wheels import pip_wheel, write_wheel
from tests.networks.phantoms import make_phantom

PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
DPKG_STATUS = """Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Version: 1.0
"""


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory):
    """A folder with one small wheel, and pip's."""
    pip = pip_wheel()
    if pip is None:
        pytest.skip("this Python carries no wheel of pip")
    folder = tmp_path_factory.mktemp("wheels")
    write_wheel(folder)
    shutil.copy(pip, folder)
    return folder


@pytest.fixture(scope="session")
def speck(tmp_path_factory):
    """The small wheel as an entry of a lock."""
    digest = write_wheel(tmp_path_factory.mktemp("speck"))
    return LockedPackage("speck", "1.0", f"speck==1.0 \\\n    --hash=sha256:{digest}\n")


@pytest.fixture(scope="session")
def base_tar(tmp_path_factory):
    """A root file system with what a base image has to have."""
    files = {PYTHON: b"ELF", "/bin/sh": b"ELF", "/var/lib/dpkg/status": DPKG_STATUS.encode()}
    return write_layer(tmp_path_factory.mktemp("base") / "base.tar", files, "base").path


@pytest.fixture(scope="session")
def plan(speck, wheelhouse):
    """The app's plan with the small wheel in place of its packages."""
    pip = LockedPackage("pip", next(wheelhouse.glob("pip-*.whl")).name.split("-")[1], "")
    app = find_app("ct_body_composition")
    closure = find_closure(app.folder, import_root())
    return Plan(app, closure, NeededPackages((speck,), ()), {"speck": speck, "pip": pip}, None, "cpu")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache that is empty when a module's tests begin."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home))
        yield cache_folder()


@pytest.fixture(scope="session")
def docker():
    """An engine that answers: Docker, or Podman where MAPNODE_TEST_ENGINE says so."""
    with engine_under_test():
        yield


@pytest.fixture(scope="module")
def base(docker):
    """A root file system of Debian packages, from the machine's mirror."""
    return debian_base()


@pytest.fixture(scope="module")
def place():
    """A folder that the image's user reaches: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="mapnode-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def tissue_model(tmp_path_factory):
    """A TorchScript network after a minute of training, with the catalogue's names."""
    return trained_model(tmp_path_factory.mktemp("models") / "tissues")


@pytest.fixture(scope="module")
def tissue_study(place):
    """What that network was trained for."""
    folder = place / "study"
    phantom = make_phantom(7, slices=14)
    write_ct_series(phantom.hu, phantom.affine_lps, folder, description="axial", uid_seed="tissues")
    return folder


@pytest.fixture
def output(place):
    folder = Path(tempfile.mkdtemp(dir=place))
    folder.chmod(0o777)
    return folder
