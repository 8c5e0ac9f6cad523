"""The arrows of docs/architecture.md: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "monai", "nnunetv2", "holoscan")
NETWORKS = tuple(
    f"operators/segment/networks/{name}.py"
    for name in (
        "device",
        "monai_bundle",
        "monai_chain",
        "nnunet",
        "torchscript",
        "weights",
    )
)


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """Every module that a file imports, wherever the statement stands, relative ones made absolute."""
    package = path.relative_to(ROOT).parent.parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) + "." if node.level else ""
            found |= {f"{base}{node.module or ''}.{alias.name}" for alias in node.names}
    return found


def imports_from(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def wrong_arrows(folder: str, forbidden: tuple[str, ...], allowed: tuple[str, ...] = ()) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in python_files(folder)
        for module in imported_modules(path)
        if any(imports_from(module, name) for name in forbidden) and not any(imports_from(module, a) for a in allowed)
    ]


def test_operators_import_neither_apps_nor_the_node():
    assert wrong_arrows("operators", ("apps", "mapnode", "orthanc")) == []


def test_core_imports_no_other_operator_and_no_sdk():
    assert wrong_arrows("operators/core", ("operators", *HEAVY), allowed=("operators.core",)) == []


def test_the_node_imports_operators_core_only_and_no_app():
    assert wrong_arrows("mapnode", ("operators", "apps", *HEAVY), allowed=("operators.core",)) == []


def test_apps_import_operators_only():
    assert wrong_arrows("apps", ("mapnode", *HEAVY)) == []


def test_only_the_adapter_imports_the_sdk_and_only_the_engines_of_networks_what_they_run_on():
    arrows = wrong_arrows("operators", HEAVY)
    assert {arrow.split(" imports ")[0] for arrow in arrows} == {"operators/runtime/sdk.py", *NETWORKS}


def test_an_app_without_weights_loads_neither_torch_nor_monai_nor_nnunet():
    code = (
        "import runpy, sys\n"
        "runpy.run_path('apps/ct_body_composition/app.py')\n"
        "loaded = [name for name in ('torch', 'monai', 'nnunetv2') if name in sys.modules]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_plugin_imports_the_standard_library_and_orthancs_own_module_only():
    modules = {module.split(".")[0] for path in python_files("orthanc") for module in imported_modules(path)}
    assert modules - {"orthanc", "mapnode_plugin"} <= sys.stdlib_module_names


def test_a_wrong_arrow_is_seen(tmp_path, monkeypatch):
    (tmp_path / "operators").mkdir()
    (tmp_path / "operators" / "bad.py").write_text("def f():\n    from mapnode.share import shared_folder\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert wrong_arrows("operators", ("mapnode",)) == [
        "operators/bad.py imports mapnode.share.shared_folder",
    ]


def every_module_of_the_node() -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in python_files("mapnode")
    ]


def test_importing_the_whole_node_loads_neither_torch_nor_monai_nor_holoscan():
    code = (
        "import importlib, sys\n"
        f"for name in {every_module_of_the_node()!r}: importlib.import_module(name)\n"
        f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", ["apps", "orthanc"])
def test_folders_that_are_no_packages_have_no_init(folder):
    assert list((ROOT / folder).rglob("__init__.py")) == []


def test_every_source_file_has_a_docstring():
    bare = [
        str(path.relative_to(ROOT))
        for folder in ("operators", "mapnode", "apps")
        for path in python_files(folder)
        if ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert bare == []
