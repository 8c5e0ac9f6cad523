"""The import closure of an app: all that its imports need, and no more."""

from pathlib import Path

import pytest

from mapnode.errors import WrongUse
from mapnode.package.closure import find_closure


@pytest.fixture
def tree(tmp_path):
    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def closure(root: Path):
    return find_closure(root / "app", root)


def test_modules_are_followed_through_packages_and_relative_imports(tree):
    root = tree({
        "app/app.py": "from operators.a import f\n",
        "operators/__init__.py": "",
        "operators/a/__init__.py": "from operators.a.one import f\n",
        "operators/a/one.py": "from .two import g\nfrom ..b import h\n",
        "operators/a/two.py": "",
        "operators/a/unused.py": "import torch\n",
        "operators/b.py": "",
        "operators/c.py": "",
    })
    found = closure(root)
    assert [str(path) for path in found.files] == [
        "operators/__init__.py",
        "operators/a/__init__.py",
        "operators/a/one.py",
        "operators/a/two.py",
        "operators/b.py",
    ]
    assert not found.at_load | found.later


def test_a_name_imported_from_a_package_may_be_a_module(tree):
    root = tree({
        "app/app.py": "from operators.core import codes\n",
        "operators/__init__.py": "",
        "operators/core/__init__.py": "",
        "operators/core/codes.py": "import pydicom.uid\n",
    })
    assert Path("operators/core/codes.py") in closure(root).files
    assert closure(root).at_load == {"pydicom.uid"}


def test_data_beside_a_module_goes_in(tree):
    root = tree({
        "app/app.py": "import operators.core.codes\n",
        "operators/__init__.py": "",
        "operators/core/__init__.py": "",
        "operators/core/codes.py": "",
        "operators/core/codes.yaml": "",
        "operators/other/data.yaml": "",
    })
    assert [path.name for path in closure(root).files if path.suffix == ".yaml"] == ["codes.yaml"]


def test_imports_for_types_alone_count_for_nothing(tree):
    root = tree({
        "app/app.py": "if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy\n",
    })
    assert closure(root).at_load == {"numpy"}
    assert not closure(root).later


def test_what_a_function_imports_waits_and_what_is_imported_anywhere_else_does_not(tree):
    root = tree({
        "app/app.py": """
import json
try:
    import scipy.ndimage
except ImportError:
    import numpy
class A:
    import yaml
    def f(self):
        import torch
        import numpy
        for _ in []:
            with open('x'):
                from nibabel.nicom import csareader
""",
    })
    found = closure(root)
    assert found.at_load == {"scipy.ndimage", "numpy", "yaml"}
    assert found.later == {"torch", "nibabel.nicom"}


def test_what_an_engine_imports_waits_until_it_is_loaded(tree):
    root = tree({
        "app/app.py": "import numpy\n",
        "operators/__init__.py": "",
        "operators/net.py": "import torch\nimport numpy\n",
    })
    found = find_closure(root / "app", root, "operators.net")
    assert Path("operators/net.py") in found.files
    assert (found.at_load, found.later) == ({"numpy"}, {"torch"})


def test_what_the_app_imports_as_well_is_not_the_engines_own(tree):
    root = tree({
        "app/app.py": "import numpy\ndef f():\n    import nibabel\n",
        "operators/__init__.py": "",
        "operators/net.py": "import torch\nimport numpy\nimport nibabel\n",
    })
    assert find_closure(root / "app", root).of_engine == frozenset()
    assert find_closure(root / "app", root, "operators.net").of_engine == {"torch"}


def test_modules_of_the_app_are_packages_to_each_other(tree):
    root = tree({"app/app.py": "from steps import find\n", "app/steps/__init__.py": "from .find import find\n"})
    assert closure(root).at_load == {"steps", "steps.find"}


def test_a_file_that_is_no_python_is_wrong_use(tree):
    with pytest.raises(WrongUse, match=r"old\.py is no Python of this version"):
        closure(tree({"app/app.py": "", "app/old.py": "print 'x'\n"}))
