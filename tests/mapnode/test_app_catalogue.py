"""What apps there are, from their manifests."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mapnode.app_catalogue import find_app, list_apps
from mapnode.errors import WrongUse
from mapnode.share import APPS_VARIABLE, REFERENCES_VARIABLE, import_root, shared_folder

BENCHMARK_APPS = Path(__file__).parents[2] / "benchmarks" / "apps"


def test_every_app_is_named_after_its_folder():
    assert [app.name for app in list_apps()] == [app.folder.name for app in list_apps()]


@pytest.mark.parametrize("app", list_apps(), ids=lambda app: app.name)
def test_every_app_has_a_model_card_that_says_what_its_manifest_says(app):
    card = (app.folder / "README.md").read_text(encoding="utf-8")
    for heading in ("Intended use", "Input", "Output", "Model and licence", "Known weak points"):
        assert f"## {heading}" in card
    assert app.manifest.application.version in card


def test_an_unknown_app_is_wrong_use_and_names_those_that_there_are():
    with pytest.raises(WrongUse, match="ct_body_composition"):
        find_app("ct_body_compositon")


def test_a_broken_manifest_names_its_file_and_key(tmp_path, monkeypatch):
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "app.yaml").write_text("application: {title: toy}\n")
    monkeypatch.setenv(APPS_VARIABLE, str(tmp_path))
    with pytest.raises(WrongUse, match=r"app\.yaml.*application\.version"):
        list_apps()


def test_apps_of_a_site_lie_in_folders_of_their_own(tmp_path, monkeypatch):
    shutil.copytree(BENCHMARK_APPS / "threshold", tmp_path / "site" / "threshold")
    (tmp_path / "empty").mkdir()
    ours = [app.name for app in list_apps()]
    monkeypatch.setenv(APPS_VARIABLE, os.pathsep.join([str(tmp_path / "empty"), str(tmp_path / "site")]))

    assert [app.name for app in list_apps()] == [*ours, "threshold"]
    assert find_app("threshold").folder == tmp_path / "site" / "threshold"


def test_two_apps_of_one_name_are_wrong_use_and_both_are_named(tmp_path, monkeypatch):
    shutil.copytree(BENCHMARK_APPS / "threshold", tmp_path / "another")
    monkeypatch.setenv(APPS_VARIABLE, os.pathsep.join([str(BENCHMARK_APPS), str(tmp_path)]))

    with pytest.raises(WrongUse, match=r"another and .*apps/threshold are both called threshold"):
        list_apps()


def test_a_folder_of_apps_that_does_not_exist_is_wrong_use(tmp_path, monkeypatch):
    monkeypatch.setenv(APPS_VARIABLE, str(tmp_path / "nowhere"))

    with pytest.raises(WrongUse, match="nowhere, which is no folder"):
        list_apps()


def test_shared_folders_are_found_in_a_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert shared_folder("apps") == Path(__file__).parents[2] / "apps"
    (tmp_path / "_share" / "apps").mkdir(parents=True)
    monkeypatch.setattr("mapnode.share.PACKAGE", tmp_path)
    assert shared_folder("apps") == tmp_path / "_share" / "apps"


def test_a_manifest_that_changed_is_read_again(tmp_path, monkeypatch):
    shutil.copytree(BENCHMARK_APPS / "threshold", tmp_path / "threshold")
    monkeypatch.setenv(APPS_VARIABLE, str(tmp_path))
    manifest = tmp_path / "threshold" / "app.yaml"
    before = find_app("threshold").manifest.application.version

    manifest.write_text(manifest.read_text(encoding="utf-8").replace(f"version: {before}", "version: 1.10.0"))

    assert (before, find_app("threshold").manifest.application.version) == ("1.0.0", "1.10.0")


@pytest.fixture
def weights(tmp_path):
    """A folder that has the form of a TorchScript model."""
    (tmp_path / "weights").mkdir()
    for name in ("model.ts", "model.yaml"):
        (tmp_path / "weights" / name).write_text(name)
    return tmp_path / "weights"


def test_an_app_with_neither_weights_nor_a_classical_default_is_disabled_and_says_why(monkeypatch, weights):
    monkeypatch.setenv(APPS_VARIABLE, str(BENCHMARK_APPS))

    bare, given = find_app("network"), find_app("network", {"network": weights})

    assert bare.disabled == (
        "network is disabled: it has no weights and no classical default; give the folder of its model (torchscript)"
    )
    assert (given.disabled, given.model.path) == (None, weights)
    assert find_app("ct_body_composition").disabled is None


def test_a_folder_that_holds_no_model_is_wrong_use(tmp_path):
    with pytest.raises(WrongUse, match="holds no model"):
        list_apps({"ct_body_composition": tmp_path})


def test_a_reference_set_is_found_by_the_name_of_its_app(tmp_path, monkeypatch):
    monkeypatch.delenv(REFERENCES_VARIABLE, raising=False)
    app = find_app("ct_body_composition")
    assert (app.reference_file, app.reference_digest) == (None, None)

    monkeypatch.setenv(REFERENCES_VARIABLE, str(tmp_path))
    assert app.reference_file is None
    (tmp_path / "ct_body_composition.json").write_bytes(b"abc")

    assert app.reference_file == tmp_path / "ct_body_composition.json"
    assert app.reference_digest == hashlib.sha256(b"abc").hexdigest()


def test_a_folder_of_reference_sets_that_is_none_is_wrong_use(tmp_path, monkeypatch):
    monkeypatch.setenv(REFERENCES_VARIABLE, str(tmp_path / "absent"))

    with pytest.raises(WrongUse, match=REFERENCES_VARIABLE):
        _ = find_app("ct_body_composition").reference_file


def test_apps_are_known_without_arrays_and_dicom():
    """Either takes as long to load as all else that a short command does."""
    code = "import sys, mapnode.app_catalogue; sys.exit(bool({'numpy', 'pydicom'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=import_root(), check=False).returncode == 0
