"""mapnode package and mapnode map inspect as users and scripts meet them."""

import json

import pytest
from typer.testing import CliRunner

from mapnode.cli import app
from mapnode.errors import WrongUse
from mapnode.package import archive, layers

RUNNER = CliRunner()


def call(*arguments: object):
    return RUNNER.invoke(app, [*map(str, arguments)])


@pytest.fixture
def image(tmp_path):
    files = {
        "/etc/holoscan/app.json": b'{"command": "run me", "input": {}, "output": {}, "version": "1.2.3"}',
        "/etc/holoscan/pkg.json": b'{"applicationRoot": "/opt/x", "version": "1.2.3"}',
    }
    layer = layers.write_layer(tmp_path / "layer.tar", files, "")
    with (tmp_path / "image.tar").open("wb") as file:
        archive.write_archive(archive.Image("a:1", {"config": {"User": "1000"}}, (layer,)), file)
    return tmp_path / "image.tar"


def test_inspect_prints_both_manifests_as_one_document(image):
    document = json.loads(call("map", "inspect", image, "--json").stdout)
    assert document["app"]["command"] == "run me"
    assert document["pkg"]["applicationRoot"] == "/opt/x"
    assert document["image"] == {"User": "1000"}
    assert "app.json has no type; the specification requires application or service" in document["warnings"]


def test_inspect_prints_a_table_for_people_and_warnings_on_stderr(image):
    done = call("map", "inspect", image)
    assert done.exit_code == 0
    assert "run me" in done.stdout
    assert "mapnode: app.json has no type" in done.stderr


@pytest.mark.parametrize("command", [("package",), ("map", "inspect")])
def test_every_command_explains_itself_with_an_example(command):
    done = call(*command, "--help")
    assert done.exit_code == 0
    assert f"Example: mapnode {' '.join(command)}" in done.stdout


def test_another_platform_is_wrong_use():
    assert call("package", "ct_body_composition", "--tag", "a:1", "--platform", "tpu").exit_code == 2


@pytest.mark.parametrize(
    ("tag", "output", "words"),
    [("CT:1", "ct.tar", "cannot be the name"), ("ct:1", "gone/ct.tar", "there is no folder")],
)
def test_what_could_not_be_written_or_loaded_is_wrong_use_before_anything_is_built(tmp_path, tag, output, words):
    done = call("package", "ct_body_composition", "--tag", tag, "--output", tmp_path / output)
    assert isinstance(done.exception, WrongUse)
    assert words in str(done.exception)
