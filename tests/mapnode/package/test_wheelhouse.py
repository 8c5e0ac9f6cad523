"""Wheelhouses: filled by pip once for each lock, and fit only with pip's own wheel."""

import subprocess
from pathlib import Path

import pytest

import mapnode.package.wheelhouse as wheelhouse_module
from mapnode.errors import WrongUse
from mapnode.package.distributions import LockedPackage, NeededPackages
from mapnode.package.wheelhouse import fill_wheelhouse, require_pip, wheels_of


@pytest.fixture
def lock(wheelhouse, speck, monkeypatch):
    """The small wheel and pip's, which pip finds in a folder in place of an index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    pip = next(wheelhouse.glob("pip-*.whl"))
    digest = subprocess.run(["sha256sum", pip], capture_output=True, text=True, check=True).stdout.split()[0]
    version = pip.name.split("-")[1]
    return {"speck": speck, "pip": LockedPackage("pip", version, f"pip=={version} --hash=sha256:{digest}\n")}


def test_a_wheelhouse_is_filled_with_what_is_needed_and_pip(lock, tmp_path):
    needed = NeededPackages((lock["speck"],), ())
    fill_wheelhouse(tmp_path, needed, lock)
    assert [path.name.split("-")[0] for path in sorted(tmp_path.glob("*.whl"))] == ["pip", "speck"]
    require_pip(tmp_path)


def test_a_download_that_fails_is_not_taken_for_one_that_did_not(lock, tmp_path):
    needed = NeededPackages((LockedPackage("other", "1.0", f"other==1.0 --hash=sha256:{'0' * 64}\n"),), ())
    for _ in range(2):
        with pytest.raises(WrongUse, match=r"wheels cannot be downloaded: .*other"):
            fill_wheelhouse(tmp_path, needed, lock)


def test_wheels_of_several_apps_are_asked_for_once(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(wheelhouse_module, "download", lambda _, *wanted: asked.append(Path(wanted[-1]).read_text()))
    pip, shared, first, second = (LockedPackage(name, "1.0", f"{name}==1.0\n") for name in ("pip", "numpy", "a", "b"))
    for package in (first, second, first, second):
        fill_wheelhouse(tmp_path, NeededPackages((shared, package), ()), {"pip": pip})
    assert asked == ["numpy==1.0\na==1.0\npip==1.0\n", "b==1.0\n"]


def test_another_build_of_the_same_version_is_not_taken_for_the_locked_one(tmp_path):
    for build in ("2.13.0", "2.13.0+cpu", "2.13.01"):
        (tmp_path / f"torch-{build}-cp311-cp311-linux_x86_64.whl").touch()
    for version in ("2.13.0", "2.13.0+cpu"):
        (wheel,) = wheels_of(LockedPackage("torch", version, ""), tmp_path)
        assert wheel.name.split("-")[1] == version


def test_a_wheel_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WrongUse, match=r"has no wheel of nvidia-cublas 13\.1"):
        wheels_of(LockedPackage("nvidia-cublas", "13.1", ""), tmp_path)


def test_a_wheelhouse_without_pip_is_wrong_use(tmp_path):
    with pytest.raises(WrongUse, match="has no wheel of pip"):
        require_pip(tmp_path)
