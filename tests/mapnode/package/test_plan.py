"""The plan of an image: kept where nothing changed, refused where something is missing."""

import pytest

from mapnode.app_catalogue import App
from mapnode.errors import WrongUse
from mapnode.package import plan as module
from mapnode.package.distributions import NeededPackages
from mapnode.package.plan import HOLOSCAN, make_plan


@pytest.fixture
def traced(monkeypatch):
    """How often an app was loaded to see what it needs; it needs pydicom."""
    calls = []

    def find_packages(folder, closure, lock, root):
        calls.append(folder)
        return NeededPackages((lock["pydicom"],), ("torch",))

    monkeypatch.setattr(module, "find_packages", find_packages)
    return calls


@pytest.fixture
def app(plan, tmp_path):
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "app.py").write_text("import pydicom\n")
    return App(folder, plan.app.manifest)


def test_an_app_whose_imports_are_known_is_not_loaded_again(app, traced, cache):
    first = make_plan(app, None, "cpu", cache)
    (app.folder / "app.py").write_text("import pydicom\nprint('changed')\n")
    assert make_plan(app, None, "cpu", cache) == first
    assert len(traced) == 1
    assert first.needed.left_out == ("torch",)


def test_another_import_has_the_app_loaded_again(app, traced, cache):
    for name in ("measure", "filters"):
        (app.folder / "app.py").write_text(f"from skimage import {name}\n")
        make_plan(app, None, "cpu", cache)
    assert len(traced) == 2


def test_a_version_is_the_locks_and_nothing_where_the_package_is_not_needed(app, traced, cache):
    plan = make_plan(app, None, "cpu", cache)
    assert plan.version_of("pydicom") == plan.lock["pydicom"].version
    assert plan.version_of(HOLOSCAN) == "0.0.0"


def test_a_missing_model_folder_is_wrong_use(app, cache, tmp_path):
    with pytest.raises(WrongUse, match=r"the model folder .* does not exist"):
        make_plan(app, tmp_path / "none", "cpu", cache)
