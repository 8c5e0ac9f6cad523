"""Stock operators: makes those of the MONAI Deploy App SDK importable one by one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType


def open_stock_operators() -> None:
    """Put an empty package in the place of `monai.deploy.operators`; to be called before anything of it is imported.

    The package's own __init__ imports every operator, and with them the whole of monai and torch, which those that are
    measured here do without and which a development environment need not have. Without it they start 2 to 10 s sooner.
    """
    import monai.deploy.core as core

    package = ModuleType("monai.deploy.operators")
    package.__path__ = [str(Path(core.__file__).parents[1] / "operators")]
    sys.modules[package.__name__] = package
