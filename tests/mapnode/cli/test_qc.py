"""mapnode qc reference: a file in its place, one JSON document, and wrong calls told."""

import json

import pytest
from typer.testing import CliRunner

from mapnode import reference_building
from mapnode.app_catalogue import find_app
from mapnode.cli import app
from mapnode.errors import WrongUse
from mapnode.reference_building import Built, LeftOut
from mapnode.share import REFERENCES_VARIABLE
from operators.core.reference_set import build_reference_set, digest_of_file, read_reference_set


@pytest.fixture
def built(monkeypatch):
    """What the studies give, without running an app on them."""
    scans = [{"noise_hu": 10.0 + index, "fat_share": 0.3 + 0.01 * index % 7} for index in range(20)]

    def build(app, folders, percentile, on_progress):
        reference = build_reference_set(app.name, "0.1.0", scans, percentile)
        return Built(reference, (LeftOut(folders[0], "refused"),))

    monkeypatch.setattr(reference_building, "build", build)


def call(*arguments):
    return CliRunner().invoke(app, ["qc", "reference", "ct_body_composition", *map(str, arguments)])


def test_the_set_goes_into_the_folder_of_the_site(built, tmp_path, monkeypatch):
    monkeypatch.setenv(REFERENCES_VARIABLE, str(tmp_path))

    done = call(tmp_path / "study", "--percentile", "95")

    assert done.exit_code == 0
    assert read_reference_set(tmp_path / "ct_body_composition.json").percentile == 95
    assert "20 studies, 2 features" in done.stdout
    assert "study: refused" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["ct_body_composition.json"]


def test_the_folder_of_the_site_is_that_of_the_nodes_settings_before_the_environments(built, tmp_path, monkeypatch):
    monkeypatch.setenv(REFERENCES_VARIABLE, str(tmp_path))
    (tmp_path / "sets").mkdir()
    (tmp_path / "node.yaml").write_text("references: sets\n")

    done = call(tmp_path / "study", "--config", tmp_path / "node.yaml")

    assert done.exit_code == 0
    assert [path.name for path in (tmp_path / "sets").iterdir()] == ["ct_body_composition.json"]
    assert find_app("ct_body_composition").reference_file == tmp_path / "sets" / "ct_body_composition.json"


def test_json_is_one_document_with_file_digest_and_limits(built, tmp_path):
    path = tmp_path / "own.json"

    document = json.loads(call(tmp_path, "--output", path, "--json").stdout)

    assert document["output"] == str(path)
    assert document["digest"] == digest_of_file(path)
    assert document["thresholds"] == read_reference_set(path).thresholds.model_dump()
    assert (document["studies"], document["features"]) == (20, ["noise_hu", "fat_share"])
    assert document["left_out"] == [{"folder": str(tmp_path), "reason": "refused"}]


def test_without_a_place_for_the_set_the_call_is_wrong(built, tmp_path, monkeypatch):
    monkeypatch.delenv(REFERENCES_VARIABLE, raising=False)

    done = call(tmp_path)

    assert isinstance(done.exception, WrongUse)
    assert "--output" in str(done.exception)


def test_a_place_that_cannot_be_written_is_wrong_use(built, tmp_path):
    done = call(tmp_path, "--output", tmp_path / "absent" / "set.json")

    assert isinstance(done.exception, WrongUse)
