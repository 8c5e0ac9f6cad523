"""Folders of Python code for images: installed from wheels, without what no MAP uses, the same bytes each time."""

import importlib.util
import marshal
from importlib.machinery import SourceFileLoader

import pytest

from mapnode.errors import WrongUse
from mapnode.package.contents import prepare_python
from mapnode.share import shared_folder

SCRIPT = shared_folder("map-build") / "prepare-python"


@pytest.fixture(scope="module")
def installed(wheelhouse, speck, tmp_path_factory):
    """The same packages, installed twice."""
    folder = tmp_path_factory.mktemp("installed")
    (folder / "lock").write_text(speck.text)
    for name in ("first", "second"):
        prepare_python("install", folder / "lock", wheelhouse, folder / name, "/opt/holoscan/python")
    return folder


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("prepare_python", str(SCRIPT))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prepare_python", loader))
    # Executed from its source: the folder keeps no pyc.
    exec(compile(SCRIPT.read_bytes(), SCRIPT, "exec"), vars(module))
    return module


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.readlink() if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def test_two_installations_have_the_same_bytes(installed):
    first = contents(installed / "first")
    assert first == contents(installed / "second")
    assert any(name.endswith(".pyc") for name in first)


def test_what_no_map_uses_is_left_out_and_links_are_made(installed):
    folder = installed / "first"
    names = set(contents(folder))
    assert {"speck/__init__.py", "speck/libspeck.so", "speck/libspeck.so.1", "speck-1.0.dist-info/METADATA"} <= names
    assert not {"speck.pth", "speck/__init__.pyi", "speck/tests/test_speck.py"} & names
    assert (folder / "speck/libspeck.so").readlink().name == "libspeck.so.1"


def test_stand_ins_stand_where_the_lock_has_nothing(installed):
    folder = installed / "first"
    assert "stand-in" in (folder / "tritonclient/__init__.py").read_text()


def test_pyc_are_valid_whatever_the_time_and_name_the_place_in_the_image(installed):
    content = next((installed / "first/speck/__pycache__").glob("*.pyc")).read_bytes()
    assert content[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(content[4:8], "little") == 1, "hash-based, never checked (PEP 552)"
    assert marshal.loads(content[16:]).co_filename == "/opt/holoscan/python/speck/__init__.py"


def test_a_wheel_that_is_not_the_locked_one_is_refused(wheelhouse, tmp_path):
    (tmp_path / "lock").write_text(f"speck==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(WrongUse, match="cannot be installed from the wheelhouse"):
        prepare_python("install", tmp_path / "lock", wheelhouse, tmp_path / "python", "/x")


def test_a_missing_wheel_is_refused(wheelhouse, tmp_path):
    (tmp_path / "lock").write_text(f"other==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(WrongUse, match="other"):
        prepare_python("install", tmp_path / "lock", wheelhouse, tmp_path / "python", "/x")


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("scipy/ndimage/tests", True),
        ("scipy/ndimage/_nd_image.so", False),
        ("numpy/__init__.pyi", True),
        ("skimage/__init__.pyi", False),
        ("skimage/measure/__init__.pyi", False),
        ("holoscan/lib/libholoscan_core.so.4", False),
        ("holoscan/lib/libholoscan_op_v4l2.so.4", True),
        ("holoscan/operators/ping_tx/_ping_tx.cpython-311-x86_64-linux-gnu.so", True),
        ("imagecodecs/_avif.abi3.so", True),
        ("imagecodecs/_jpegls.abi3.so", False),
        ("imagecodecs.libs/libcharls-1.so.2", False),
        ("imagecodecs.libs/libaom-1.so.3", True),
        ("pymupdf_fonts/FiraGO_Bold.py", False),
        ("pymupdf_fonts/Ubuntu_Bold.py", True),
        ("bin", True),
    ],
)
def test_the_list_takes_away_what_it_says_and_no_more(script, name, verdict):
    patterns = script.read_patterns(shared_folder("map-build") / "prune.txt")
    assert script.is_unwanted(name, patterns) is verdict
