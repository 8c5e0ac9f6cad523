"""Which locked packages an app loads."""

from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from mapnode.app_catalogue import find_app
from mapnode.errors import NodeError, WrongUse
from mapnode.package.closure import ImportClosure, find_closure
from mapnode.package.distributions import asked_for, find_packages, normalised, read_lock
from mapnode.share import import_root, shared_folder

LOCK = shared_folder("requirements") / "base.lock"


def packages_of(folder: Path, later: tuple[str, ...] = (), lock=None):
    closure = ImportClosure((), frozenset(), frozenset(later), frozenset())
    return find_packages(folder, closure, read_lock(LOCK) if lock is None else lock, import_root())


@pytest.fixture
def app(tmp_path):
    def write(code: str) -> Path:
        (tmp_path / "app.py").write_text(code)
        return tmp_path

    return write


def test_an_entry_of_the_lock_keeps_its_hashes():
    package = read_lock(LOCK)["pydicom"]
    assert package.text.startswith(f"pydicom=={package.version} \\\n    --hash=sha256:")
    assert package.text.endswith("\n")


def test_all_entries_of_the_lock_are_read():
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    assert len(read_lock(LOCK)) == sum("==" in line for line in lines)
    assert "".join(package.text for package in read_lock(LOCK).values()) == LOCK.read_text(encoding="utf-8")


def test_a_module_is_brought_by_the_packages_that_python_names():
    owners = packages_distributions()
    for module in ("monai", "yaml", "PIL", "typing_extensions"):
        assert {normalised(owner) for owner in owners[module]} <= asked_for([f"{module}.core"])
    assert asked_for(["typing_extensions"]) == {"typing-extensions"}
    assert asked_for(["no_such_module"]) == set()


def test_a_package_comes_with_what_it_loads_itself(app):
    needed = packages_of(app("import pydantic"))
    names = {package.name for package in needed.packages}
    assert {"pydantic", "pydantic-core", "typing-extensions"} <= names
    assert not names & {"numpy", "dbos", "fastapi", "pip", "pytest"}


def test_what_a_part_would_load_that_has_a_stand_in_is_not_needed(app):
    assert [package.name for package in packages_of(app("from numpy import f2py")).packages] == ["numpy"]


def test_what_is_imported_later_is_loaded_too(app):
    assert [package.name for package in packages_of(app(""), ("yaml",)).packages] == ["pyyaml"]


def test_what_is_imported_later_and_not_locked_is_left_out_and_said(app):
    assert packages_of(app(""), ("torch.nn", "no_such_package")).left_out == ("no_such_package", "torch.nn")


def test_what_is_imported_later_and_brings_what_is_not_locked_is_left_out(app):
    lock = read_lock(LOCK)
    del lock["pydantic-core"]
    needed = packages_of(app("import yaml"), ("pydantic", "zlib"), lock)
    assert [package.name for package in needed.packages] == ["pyyaml"]
    assert needed.left_out == ("pydantic",)


def test_what_breaks_off_while_it_is_imported_later_takes_nothing_else_with_it(app):
    needed = packages_of(app(""), ("monai.utils.module", "nibabel.nicom"))
    assert "nibabel" in {package.name for package in needed.packages}
    assert needed.left_out == ("monai.utils.module",)


def test_what_is_loaded_and_not_locked_is_wrong_use(app):
    with pytest.raises(WrongUse, match="hypothesis is not locked: add it"):
        packages_of(app("import hypothesis"))


def test_another_version_than_the_locked_one_is_wrong_use(app):
    lock = read_lock(LOCK)
    lock["pyyaml"] = type(lock["pyyaml"])("pyyaml", "1.0", "")
    with pytest.raises(WrongUse, match=r"pyyaml \S+ is installed, 1\.0 is locked"):
        packages_of(app("import yaml"), lock=lock)


def test_an_app_that_cannot_be_loaded_is_said_with_its_last_word(app):
    with pytest.raises(NodeError, match="ZeroDivisionError: division by zero"):
        packages_of(app("1 / 0"))


def test_a_missing_lock_is_named(tmp_path):
    with pytest.raises(WrongUse, match=r"no\.lock cannot be read"):
        read_lock(tmp_path / "no.lock")


def test_the_classical_app_needs_neither_torch_nor_a_client_of_servers():
    folder = find_app("ct_body_composition").folder
    needed = find_packages(folder, find_closure(folder, import_root()), read_lock(LOCK), import_root())
    names = {package.name for package in needed.packages}
    assert {"highdicom", "holoscan-cu13", "imagecodecs", "nibabel", "nvidia-cuda-runtime", "scikit-image"} <= names
    assert not names & {"torch", "monai", "tritonclient", "grpcio", "gevent", "dbos", "sqlalchemy", "typer"}


def test_a_module_beside_the_app_is_found_and_one_where_this_runs_is_not(app, tmp_path, monkeypatch):
    folder = app("import helper")
    (tmp_path / "helper.py").write_text("import yaml\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "stray.py").write_text("")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert [package.name for package in packages_of(folder).packages] == ["pyyaml"]
    with pytest.raises(NodeError, match="No module named 'stray'"):
        packages_of(app("import stray"))


def test_a_part_of_a_package_that_a_function_takes_by_name_is_loaded_too(app):
    folder = app("def f():\n    from skimage import io\n")
    closure = find_closure(folder, import_root())
    needed = find_packages(folder, closure, read_lock(LOCK), import_root())
    assert {"scikit-image", "imageio", "tifffile"} <= {package.name for package in needed.packages}


def test_what_a_module_of_ours_imports_that_a_function_imports_is_loaded_too(app, tmp_path):
    folder = app("def f():\n    import helper\n")
    (tmp_path / "helper.py").write_text("import yaml\n")
    (tmp_path / "by_hand.py").write_text("import pydantic\n")
    closure = find_closure(folder, import_root())
    needed = find_packages(folder, closure, read_lock(LOCK), import_root())
    assert {"pyyaml", "pydantic"} <= {package.name for package in needed.packages}
    assert needed.left_out == ()


def test_a_module_that_no_package_has_is_wrong_use(app, tmp_path):
    """As one that is installed in place (`pip install -e`): the image would be made, and lack it."""
    (tmp_path / "checkout" / "mine").mkdir(parents=True)
    (tmp_path / "checkout" / "mine" / "__init__.py").write_text("")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "app.py").write_text(
        f"import sys; sys.path.append({str(tmp_path / 'checkout')!r})\nimport mine"
    )
    with pytest.raises(WrongUse, match=r"mine/__init__\.py, which no locked package has"):
        packages_of(tmp_path / "app")


def test_a_module_that_was_made_and_not_read_belongs_to_whoever_made_it(app):
    """As torch.ops."""
    code = (
        "import sys, types, yaml\nsys.modules['made'] = made = types.ModuleType('made')\nmade.__file__ = '_made.py'\n"
    )
    assert [package.name for package in packages_of(app(code)).packages] == ["pyyaml"]
