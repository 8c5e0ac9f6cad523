"""Docker or Podman: the first that answers, and what it says when something is wrong."""

import pytest

from mapnode.errors import NodeError, WrongUse
from mapnode.package.container_engine import find_engine


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts a shell script in the place of docker or podman."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("mapnode.package.container_engine.PROGRAMS", ("first-engine", "second-engine"))

    def write(name: str, script: str) -> None:
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)

    return write


def test_the_first_engine_that_answers_is_taken(program):
    program("first-engine", "echo cannot connect >&2; exit 1")
    program("second-engine", "exit 0")
    assert find_engine().program == "second-engine"


def test_an_engine_that_does_not_answer_is_said(program):
    program("first-engine", "echo cannot connect >&2; exit 1")
    with pytest.raises(WrongUse, match="first-engine does not answer: cannot connect; without one `mapnode package"):
        find_engine()


def test_without_any_engine_the_way_out_is_said(program):
    with pytest.raises(WrongUse, match="neither docker nor podman is installed; without one `mapnode package --output"):
        find_engine()


def test_an_image_that_is_not_there_is_none(program):
    program("first-engine", '[ "$1" = info ] || exit 1')
    assert find_engine().image("a:1") is None


def test_an_image_is_what_the_engine_says_of_it(program):
    program("first-engine", """[ "$1" = info ] || echo '[{"Id": "sha256:1"}]'""")
    assert find_engine().image("a:1") == {"Id": "sha256:1"}


def test_what_is_loaded_reaches_the_engine(program, tmp_path):
    program("first-engine", f'[ "$1" = info ] || cat > {tmp_path}/got')
    find_engine().load(lambda file: file.write(b"archive"))
    assert (tmp_path / "got").read_bytes() == b"archive"


def test_an_archive_that_the_engine_refuses_ends_with_its_words(program):
    program("first-engine", '[ "$1" = info ] || { echo no space left >&2; exit 1; }')
    with pytest.raises(NodeError, match="first-engine load: no space left"):
        find_engine().load(lambda file: file.write(b"x" * 10_000_000))


def test_an_image_that_cannot_be_saved_ends_with_its_words(program, tmp_path):
    program("first-engine", '[ "$1" = info ] || { echo no such image >&2; exit 1; }')
    with pytest.raises(NodeError, match="first-engine save: no such image"):
        find_engine().save("a:1", tmp_path / "a.tar")
