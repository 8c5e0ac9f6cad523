"""Imports that are kept: those of the file as it is now, parsed once."""

import pytest

from mapnode.package import kept_imports as module
from mapnode.package.closure import imports_of
from mapnode.package.kept_imports import kept_imports


@pytest.fixture
def parsed(monkeypatch):
    """Names of the files that were parsed."""
    names = []

    def count(path, package):
        names.append(path.name)
        return imports_of(path, package)

    monkeypatch.setattr(module, "imports_of", count)
    return names


def imports(cache, path, package=""):
    with kept_imports(cache) as found:
        return found(path, package)


def test_a_file_that_did_not_change_is_not_parsed_again(tmp_path, parsed):
    path = tmp_path / "a.py"
    path.write_text("from scipy import ndimage\ndef f():\n    import torch\n")
    first = imports(tmp_path, path)
    assert imports(tmp_path, path) == first == imports_of(path, "")
    assert parsed == ["a.py"]


def test_a_change_is_seen_and_so_is_another_package_around_the_file(tmp_path, parsed):
    path = tmp_path / "a.py"
    path.write_text("from . import b\n")
    assert [one.name for one in imports(tmp_path, path, "x")] == ["x.b"]
    assert [one.name for one in imports(tmp_path, path, "y")] == ["y.b"]
    path.write_text("import json\n")
    assert [one.name for one in imports(tmp_path, path, "y")] == ["json"]


def test_what_is_not_asked_for_any_more_is_forgotten(tmp_path, parsed):
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    for path in (one, other):
        path.write_text(f"import {path.stem}\n")
        imports(tmp_path, path)
    imports(tmp_path, one)
    assert parsed == ["one.py", "other.py", "one.py"]


def test_a_damaged_file_of_kept_imports_is_written_anew(tmp_path, parsed):
    (tmp_path / module.NAME).write_text("{")
    path = tmp_path / "a.py"
    path.write_text("import yaml\n")
    assert [found.name for found in imports(tmp_path, path)] == ["yaml"]
    assert imports(tmp_path, path)
    assert parsed == ["a.py"]
