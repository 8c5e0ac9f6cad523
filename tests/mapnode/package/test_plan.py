"""The plan of an image: kept where nothing changed, refused where something is missing."""

from pathlib import Path

import pytest

from mapnode.app_catalogue import App
from mapnode.errors import WrongUse
from mapnode.package import plan as module
from mapnode.package.cuda_packages import read_cuda_lock
from mapnode.package.distributions import LockedPackage, NeededPackages
from mapnode.package.plan import HOLOSCAN, engine_module, make_plan
from mapnode.share import import_root, shared_folder
from operators.core.model_folder import EngineKind
from operators.segment.networks.network_engine import LOADERS


@pytest.fixture
def traced(monkeypatch):
    """How often an app was loaded to see what it needs; it needs pydicom."""
    calls = []

    def find_packages(folder, closure, lock, root):
        calls.append(folder)
        return NeededPackages((lock["pydicom"],), ("left",))

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
    assert first.needed.left_out == ("left",)


def test_another_import_has_the_app_loaded_again(app, traced, cache):
    for name in ("measure", "filters"):
        (app.folder / "app.py").write_text(f"from skimage import {name}\n")
        make_plan(app, None, "cpu", cache)
    assert len(traced) == 2


def test_another_way_of_finding_packages_has_the_app_loaded_again(app, traced, cache, monkeypatch):
    for way in (b"one", b"another", b"another"):
        monkeypatch.setattr(module, "ways_of_finding", lambda way=way: way)
        make_plan(app, None, "cpu", cache)
    assert len(traced) == 2


def test_a_version_is_the_locks_and_nothing_where_the_package_is_not_needed(app, traced, cache):
    plan = make_plan(app, None, "cpu", cache)
    assert plan.version_of("pydicom") == plan.lock["pydicom"].version
    assert plan.version_of(HOLOSCAN) == "0.0.0"


def test_a_missing_model_folder_is_wrong_use(app, cache, tmp_path):
    with pytest.raises(WrongUse, match=r"the model folder .* does not exist"):
        make_plan(app, tmp_path / "none", "cpu", cache)


def test_a_folder_without_a_model_is_wrong_use(app, cache, tmp_path):
    with pytest.raises(WrongUse, match="holds no model"):
        make_plan(app, tmp_path, "cpu", cache)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.ts", "model.yaml"):
        (folder / name).touch()
    return folder


def test_the_module_of_a_models_engine_is_the_one_that_the_engine_loads(model):
    assert engine_module(model) == f"operators.segment.networks.{LOADERS[EngineKind.TORCHSCRIPT][0]}"
    for kind, (module_name, _) in LOADERS.items():
        assert module_name == kind.replace("-", "_")
        assert (import_root() / "operators/segment/networks" / f"{module_name}.py").is_file()


@pytest.fixture
def installed_torch(monkeypatch, torch):
    monkeypatch.setattr("mapnode.package.cuda_packages.installed_version", lambda: "2.13.0+cpu")


@pytest.fixture
def torch(monkeypatch):
    monkeypatch.setattr(module, "lock_torch", lambda *_: LockedPackage("torch", "2.13.0+cpu", "torch==2.13.0+cpu\n"))


def test_with_a_model_torch_may_go_in_and_what_only_other_engines_ask_for_may_not(app, traced, torch, cache, model):
    lock = make_plan(app, model, "cpu", cache).lock
    assert lock["torch"].version == "2.13.0+cpu"
    assert "monai" in lock
    assert not {"nnunetv2", "pandas", "matplotlib", "simpleitk"} & lock.keys()


def test_an_image_for_gpus_takes_all_of_nvidias_libraries_and_torch_as_built_for_them(
    app, traced, installed_torch, cache, model
):
    needed = {package.name: package for package in make_plan(app, model, "cuda", cache).needed.packages}
    again = make_plan(app, model, "cuda", cache).needed.packages
    plain = {package.name for package in make_plan(app, model, "cpu", cache).needed.packages}

    assert {"pydicom", "torch", "nvidia-cublas", "nvidia-cudnn-cu13", "nvidia-cuda-runtime"} <= needed.keys()
    assert needed["torch"] == read_cuda_lock(shared_folder("requirements"))["torch"]
    assert tuple(needed.values()) == again
    assert plain == {"pydicom"}


def test_an_image_for_gpus_without_a_model_is_wrong_use(app, cache):
    with pytest.raises(WrongUse, match="needs --model DIR: without a network nothing in the image uses a GPU"):
        make_plan(app, None, "cuda", cache)


def test_what_the_engine_needs_may_not_be_left_out(app, monkeypatch, torch, model, tmp_path):
    monkeypatch.setattr(module, "find_packages", lambda *_: NeededPackages((), ("monai.inferers",)))
    with pytest.raises(WrongUse, match=r"torchscript needs monai\.inferers, which cannot be imported here"):
        make_plan(app, model, "cpu", tmp_path)


def test_another_set_of_installed_packages_has_the_app_loaded_again(app, traced, cache, monkeypatch):
    for names in (["a-1.0.dist-info"], ["a-1.0.dist-info", "b-1.0.dist-info"], ["a-1.0.dist-info", "b-1.0.dist-info"]):
        monkeypatch.setattr(module, "installed", lambda names=names: names)
        make_plan(app, None, "cpu", cache)
    assert len(traced) == 2


@pytest.mark.parametrize("name", [".", "../net", "x/.."])
def test_a_model_folder_has_a_name_however_it_is_given(app, traced, torch, cache, model, monkeypatch, name):
    place = model.rename(model.parent / "net")
    (place / "x").mkdir()
    monkeypatch.chdir(place)
    assert make_plan(app, Path(name), "cpu", cache).model.name == "net"


def test_a_model_folder_whose_name_pkg_json_cannot_hold_is_wrong_use(app, cache, model):
    with pytest.raises(WrongUse, match="cannot give the model its name"):
        make_plan(app, model.rename(model.parent / "my net"), "cpu", cache)
