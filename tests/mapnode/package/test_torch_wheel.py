"""torch in an image: the build that is installed here, by the hash of its wheel."""

import hashlib
import importlib.metadata

import pytest

from mapnode.errors import WrongUse
from mapnode.package import torch_wheel as module
from mapnode.package.torch_wheel import lock_torch


@pytest.fixture
def installed(monkeypatch):
    """Has a version of torch be installed, and mapnode ask for another one where it is told."""

    def have(version):
        def answer(_name):
            if version is None:
                raise importlib.metadata.PackageNotFoundError
            return version

        monkeypatch.setattr(module.importlib.metadata, "version", answer)
        monkeypatch.setattr(
            module.importlib.metadata, "requires", lambda _: ["numpy", "torch==2.13.0; extra == 'models'"]
        )

    return have


def test_the_entry_has_the_hash_of_the_wheel_of_the_build_that_is_installed(installed, tmp_path):
    installed("2.13.0+cpu")
    for build in ("2.13.0", "2.13.0+cpu"):
        (tmp_path / f"torch-{build}-cp311-cp311-linux_x86_64.whl").write_text(build)
    package = lock_torch(tmp_path, tmp_path / "cache")
    assert package.version == "2.13.0+cpu"
    digest = hashlib.sha256(b"2.13.0+cpu").hexdigest()
    assert package.text == f"torch==2.13.0+cpu \\\n    --hash=sha256:{digest}\n"


def test_a_wheelhouse_without_it_is_wrong_use(installed, tmp_path):
    installed("2.13.0+cpu")
    with pytest.raises(WrongUse, match=r"has no wheel of torch 2\.13\.0\+cpu, which is installed"):
        lock_torch(tmp_path, tmp_path)


@pytest.mark.parametrize(("version", "said"), [(None, "is not installed here"), ("2.12.0", r"2\.13\.0 is pinned")])
def test_no_torch_or_another_one_than_is_pinned_is_wrong_use(installed, tmp_path, version, said):
    installed(version)
    with pytest.raises(WrongUse, match=said):
        lock_torch(tmp_path, tmp_path)
