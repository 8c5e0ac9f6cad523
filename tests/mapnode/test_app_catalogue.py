"""What apps there are, from their manifests."""

from pathlib import Path

import pytest

from mapnode.app_catalogue import find_app, list_apps
from mapnode.errors import WrongUse
from mapnode.share import shared_folder


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
    monkeypatch.setattr("mapnode.app_catalogue.shared_folder", lambda _: tmp_path)
    with pytest.raises(WrongUse, match=r"app\.yaml.*application\.version"):
        list_apps()


def test_shared_folders_are_found_in_a_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert shared_folder("apps") == Path(__file__).parents[2] / "apps"
    (tmp_path / "_share" / "apps").mkdir(parents=True)
    monkeypatch.setattr("mapnode.share.PACKAGE", tmp_path)
    assert shared_folder("apps") == tmp_path / "_share" / "apps"
