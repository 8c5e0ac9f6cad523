"""What of an app's or a model's folder goes into an image."""

import os

import pytest

from mapnode.errors import WrongUse
from mapnode.package.source_files import app_files_in, model_files_in


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "app"
    (root / "data").mkdir(parents=True)
    for name in ("app.py", "helper.py", "data/table.csv", "übersicht.txt"):
        (root / name).write_text("")
    return root


def test_an_app_brings_its_modules_and_data(folder):
    assert list(app_files_in(folder)) == ["app.py", "data/table.csv", "helper.py", "übersicht.txt"]


def test_what_tools_and_tests_left_stays_behind(folder):
    before = app_files_in(folder)
    for name in (".git/index", "__pycache__/app.pyc", "data/.DS_Store", "app.py~", "#app.py#", "app.py.orig"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    # As Emacs marks a file that it has open.
    (folder / ".#app.py").symlink_to("somebody@machine.1234")
    for name in ("test_app.py", "conftest.py", "tests/data.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("import pytest")
    assert app_files_in(folder) == before


def test_a_link_is_what_it_leads_to(folder, tmp_path):
    (tmp_path / "store" / "fold_0").mkdir(parents=True)
    (tmp_path / "store" / "fold_0" / "weights").write_text("w")
    (folder / "one").symlink_to(tmp_path / "store" / "fold_0" / "weights")
    (folder / "all").symlink_to(tmp_path / "store")
    found = model_files_in(folder)
    assert {found["one"], found["all/fold_0/weights"]} == {tmp_path / "store" / "fold_0" / "weights"}
    assert not any(path.is_symlink() for path in found.values())


def test_a_link_into_a_folder_around_it_is_wrong_use(folder):
    (folder / "data" / "up").symlink_to("..")
    with pytest.raises(WrongUse, match="a folder that it lies in"):
        model_files_in(folder)


def test_what_is_no_file_is_wrong_use_and_is_not_opened(folder):
    os.mkfifo(folder / "pipe")
    with pytest.raises(WrongUse, match="pipe is neither a file nor a folder"):
        model_files_in(folder)


def test_a_link_that_leads_nowhere_is_wrong_use(folder):
    (folder / "weights").symlink_to("gone")
    with pytest.raises(WrongUse, match="weights is neither"):
        model_files_in(folder)


def test_a_folder_in_the_place_of_our_own_modules_is_wrong_use(folder):
    (folder / "operators").mkdir()
    with pytest.raises(WrongUse, match="would mix with our own operators"):
        app_files_in(folder)
