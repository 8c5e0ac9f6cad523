"""torch for GPUs: its lock, and what it takes the place of."""

import re

import pytest

from mapnode.errors import WrongUse
from mapnode.package import cuda_packages as module
from mapnode.package.cuda_packages import read_cuda_lock, with_cuda
from mapnode.package.distributions import LockedPackage, NeededPackages, read_lock
from mapnode.share import import_root, shared_folder


def locked(name, version):
    return LockedPackage(name, version, f"{name}=={version}\n")


@pytest.fixture
def lock():
    return read_lock(shared_folder("requirements") / "cuda.lock")


def test_the_lock_has_the_release_of_torch_that_is_pinned_and_no_local_build(lock):
    pinned = re.findall(r'"torch==([\w.]+)"', (import_root() / "pyproject.toml").read_text())
    assert [lock["torch"].version] == pinned


def test_each_entry_is_held_to_hashes(lock):
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", package.text) for package in lock.values())


def test_what_is_locked_elsewhere_comes_from_there(lock):
    """But for CUDA's runtime, which torch is built against."""
    others = read_lock(shared_folder("requirements") / "models.lock")
    assert lock.keys() & others.keys() <= {"nvidia-cuda-runtime"}


def test_packages_for_gpus_take_the_place_of_those_of_the_same_name():
    needed = NeededPackages((locked("numpy", "2"), locked("nvidia-cuda-runtime", "13.5")), ("left",))
    cuda = {one.name: one for one in (locked("torch", "1"), locked("nvidia-cuda-runtime", "13.0"))}

    both = with_cuda(needed, cuda)

    assert [(one.name, one.version) for one in both.packages] == [
        ("numpy", "2"), ("nvidia-cuda-runtime", "13.0"), ("torch", "1")
    ]  # fmt: skip
    assert both.left_out == ("left",)
    assert with_cuda(needed, {}) == needed


def test_a_release_of_torch_that_was_not_tried_here_is_refused(monkeypatch):
    monkeypatch.setattr(module, "installed_version", lambda: "2.1.0+cpu")
    with pytest.raises(WrongUse, match=r"torch 2\.1\.0\+cpu is installed, cuda\.lock has .*make with-models"):
        read_cuda_lock(shared_folder("requirements"))
