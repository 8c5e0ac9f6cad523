"""mapnode new app: what it writes runs, passes its own tests and the house's checks."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mapnode.cli import app
from mapnode.errors import WrongUse
from mapnode.new_app import make_app
from operators.core.manifest import read_manifest

ROOT = Path(__file__).parents[2]


def test_the_name_stands_wherever_the_templates_stood(tmp_path):
    files = make_app("liver_volume", tmp_path / "apps")

    assert {path.name for path in files} == {"README.md", "app.py", "app.yaml", "test_liver_volume.py"}
    assert read_manifest(tmp_path / "apps/liver_volume/app.yaml").application.title == "liver_volume"
    text = "".join(path.read_text() for path in files)
    assert "class LiverVolume(MapApplication)" in text
    assert "my_app" not in text
    assert "MyApp" not in text


@pytest.mark.parametrize("name", ["", "Liver", "liver-volume", "1st", "a__b", "../up", "class", "a" * 49])
def test_a_name_that_is_no_module_is_refused_and_nothing_written(tmp_path, name):
    with pytest.raises(WrongUse, match="cannot be the name of an app"):
        make_app(name, tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_name_that_an_app_has_is_refused(tmp_path):
    make_app("liver_volume", tmp_path)

    for name in ("ct_body_composition", "liver_volume"):
        with pytest.raises(WrongUse, match="already"):
            make_app(name, tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")

    done = CliRunner().invoke(app, ["new", "app", "liver_volume", "--into", str(tmp_path / "file")])

    assert isinstance(done.exception, WrongUse)
    assert "cannot be written" in str(done.exception)


@pytest.mark.chain
def test_the_new_app_is_found_and_passes_its_own_tests_and_our_checks(tmp_path):
    made = CliRunner().invoke(app, ["new", "app", "liver_volume", "--into", str(tmp_path), "--json"])
    environment = {**os.environ, "MAPNODE_APPS": str(tmp_path), "PYTHONPATH": str(ROOT)}

    def call(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)

    assert json.loads(made.stdout)["app"] == "liver_volume"
    listed = call(sys.executable, "-m", "mapnode", "apps", "--json")
    assert "liver_volume" in [one["name"] for one in json.loads(listed.stdout)]
    tests = call(sys.executable, "-m", "pytest", str(tmp_path), "-q")
    assert tests.returncode == 0, tests.stdout
    assert "2 passed" in tests.stdout
    style = call(sys.executable, "-m", "ruff", "check", str(tmp_path), "--config", str(ROOT / "pyproject.toml"))
    assert style.returncode == 0, style.stdout


def test_the_printed_export_is_one_word_for_a_shell_whatever_the_folder_is_called(tmp_path, monkeypatch):
    monkeypatch.delenv("MAPNODE_APPS", raising=False)
    done = CliRunner().invoke(app, ["new", "app", "liver_volume", "--into", str(tmp_path / "my apps")])

    (line,) = [line for line in done.stdout.splitlines() if line.startswith("export ")]
    assert shlex.split(line) == ["export", f"MAPNODE_APPS={tmp_path / 'my apps'}"]
