"""Folders of Python code for images: installed from wheels, without what no MAP uses, the same bytes each time."""

import importlib.util
import json
import marshal
import re
import shutil
import struct
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path

import PIL._imaging
import pytest
import yaml._yaml

from mapnode.errors import WrongUse
from mapnode.package.contents import prepare_python
from mapnode.share import shared_folder
from operators.runtime.worker import YOUNG_OBJECTS

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


def test_a_part_of_a_package_has_its_stand_in_where_the_package_is(script, tmp_path):
    script.stand_in(tmp_path)
    assert not (tmp_path / "numpy").exists()
    (tmp_path / "numpy").mkdir()
    script.stand_in(tmp_path)
    assert "stand-in" in (tmp_path / "numpy/f2py/__init__.py").read_text()


def test_python_looks_for_garbage_as_often_as_in_the_warm_worker(installed):
    done = subprocess.run(
        [sys.executable, "-c", "import gc; print(gc.get_threshold()[0])"],
        env={"PYTHONPATH": str(installed / "first")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == YOUNG_OBJECTS


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
        ("numpy/_core/_simd.cpython-311-x86_64-linux-gnu.so", True),
        ("numpy/_core/_multiarray_umath.cpython-311-x86_64-linux-gnu.so", False),
        ("torch/bin", False),
        ("torch/bin/torch_shm_manager", False),
        ("torch/bin/protoc", True),
        ("torch/test", True),
        ("torch/lib/libtorch_cpu.so", False),
        ("bin", True),
    ],
)
def test_the_list_takes_away_what_it_says_and_no_more(script, name, verdict):
    patterns = script.read_patterns(shared_folder("map-build") / "prune.txt")
    assert script.is_unwanted(name, patterns) is verdict


def segments_of(path: Path) -> list[tuple[tuple[str, ...], bytes]]:
    """What readelf says of each segment but its place in the file, and its bytes, places in the file blotted out."""
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not here: apt-get install binutils")
    said = subprocess.run(["readelf", "--segments", "--wide", path], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^ +([A-Z_]+) +(0x\w+) (0x\w+) 0x\w+ (0x\w+) (0x\w+) (...) (0x\w+)$", said, re.MULTILINE)
    table = int(re.search(r"starting at offset (\d+)", said)[1])
    content = bytearray(path.read_bytes())
    content[:64] = bytes(64)
    content[table : table + 56 * len(found)] = bytes(56 * len(found))
    return [
        ((kind, *rest), bytes(content[int(start, 16) : int(start, 16) + int(rest[1], 16)]))
        for kind, start, *rest in found
    ]


@pytest.mark.parametrize("module", [yaml._yaml, PIL._imaging], ids=["as linked", "as patchelf leaves it"])
def test_a_shared_object_becomes_smaller_and_keeps_each_segment(script, tmp_path, module):
    before, after = Path(module.__file__), tmp_path / "after.so"
    after.write_bytes(script.loaded_alone(before.read_bytes()))
    assert after.stat().st_size < 0.8 * before.stat().st_size
    assert len(segments_of(before)) > 5
    assert segments_of(after) == segments_of(before)
    assert script.loaded_alone(after.read_bytes()) == after.read_bytes()


def test_a_shared_object_without_its_symbols_still_loads_and_works(script, tmp_path):
    name = Path(yaml._yaml.__file__).name
    (tmp_path / "yaml").mkdir()
    for path in Path(yaml.__file__).parent.glob("*.py"):
        shutil.copy(path, tmp_path / "yaml")
    (tmp_path / "yaml" / name).write_bytes(script.loaded_alone(Path(yaml._yaml.__file__).read_bytes()))
    code = "import yaml; print(yaml._yaml.__file__, yaml.load('a: [1, 2]', yaml.CSafeLoader))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout == f"{tmp_path}/yaml/{name} {{'a': [1, 2]}}\n"


def test_an_object_whose_headers_no_segment_holds_stays_as_it_is(script):
    elf = bytearray(Path(yaml._yaml.__file__).read_bytes())
    (table,), (size, count) = struct.unpack_from("<Q", elf, 32), struct.unpack_from("<HH", elf, 54)
    elf += elf[table : table + size * count]
    struct.pack_into("<Q", elf, 32, len(elf) - size * count)
    assert script.loaded_alone(bytes(elf)) == elf


def test_large_tables_lose_their_white_space_and_small_ones_nothing(script, tmp_path):
    table = {"rows": [{"name": "\u00e9", "value": 1.5}] * 30_000}
    (tmp_path / "large.json").write_text(json.dumps(table, indent=4))
    (tmp_path / "small.json").write_text('{ "a": 1 }')
    size = (tmp_path / "large.json").stat().st_size
    script.shrink(tmp_path)
    assert json.loads((tmp_path / "large.json").read_text()) == table
    assert (tmp_path / "large.json").stat().st_size < size / 2
    assert (tmp_path / "small.json").read_text() == '{ "a": 1 }'
