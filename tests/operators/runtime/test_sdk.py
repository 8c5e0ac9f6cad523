"""SDK: the one door to the MONAI Deploy App SDK."""

import ast
import subprocess
import sys
from pathlib import Path

import operators
from operators.runtime import sdk

ROOT = Path(operators.__file__).parent


def imported_roots(path) -> set[str]:
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    return roots


def test_no_other_module_imports_the_sdk():
    importing = {
        path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if imported_roots(path) & {"monai", "holoscan"}
    }

    assert {name for name in importing if not name.startswith("segment/networks/")} == {"runtime/sdk.py"}


def test_loading_it_leaves_torch_and_monai_to_those_who_ask_for_them():
    code = (
        "from operators.runtime import sdk\n"
        "import sys\n"
        "assert 'torch' not in sys.modules and 'monai' not in sys.modules\n"
        "import monai, torch\n"
        "import monai.deploy.core as core\n"
        "assert core.Application is sdk.Application and monai.bundle.ConfigParser\n"
    )

    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_operators_import_neither_apps_nor_mapnode():
    wrong = [path.name for path in ROOT.rglob("*.py") if imported_roots(path) & {"apps", "mapnode"}]

    assert wrong == []


def test_folders_are_taken_from_the_arguments(tmp_path):
    for name in ("in", "out"):
        (tmp_path / name).mkdir()

    context = sdk.app_context(["app.py", "-i", str(tmp_path / "in"), "-o", str(tmp_path / "out")])

    assert (Path(context.input_path), Path(context.output_path)) == (tmp_path / "in", tmp_path / "out")


def test_everything_offered_is_there():
    assert all(hasattr(sdk, name) for name in sdk.__all__)
