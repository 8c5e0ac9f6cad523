"""SDK: the few classes of the MONAI Deploy App SDK that mapnode builds on, behind one typed door.

holoscan and monai ship no types; everything untyped stays in this file.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import logging
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextlib.contextmanager
def _without_networks() -> Iterator[None]:
    """Have the SDK load without torch and without the rest of MONAI, where they are installed (docs/decisions/0020).

    The SDK lies below `monai`, whose own `__init__` loads all of MONAI, and it loads torch where it finds it: seconds
    and hundreds of MB that a classical app has no use for. Whoever imports them later gets them.
    """
    hidden = {"monai", "torch"} - sys.modules.keys()
    found = importlib.machinery.PathFinder.find_spec("monai")
    if "monai" in hidden and found is not None:
        sys.modules["monai"] = package = ModuleType("monai")
        package.__path__ = list(found.submodule_search_locations or ())
    if "torch" in hidden:
        # An import of what stands as None is an ImportError.
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


# The variable is read when the core library loads: its info lines say nothing about a study.
os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "WARN")

with _without_networks():
    from monai.deploy.conditions import CountCondition
    from monai.deploy.core import AppContext, Application, Fragment, Operator, OperatorSpec


def app_context(argv: Sequence[str]) -> AppContext:
    """Input, output and model folder from arguments (-i, -o, -m) and HOLOSCAN_* variables, as every MAP takes them."""
    context = Application.init_app_context(list(argv))
    # The SDK's parser turns the root logger to INFO, where every library tells its own story.
    logging.getLogger().setLevel(logging.WARNING)
    return context


def once(fragment: Any) -> Any:  # noqa: ANN401 - untyped SDK objects
    """A condition that lets an operator without input run one time; without it the graph never ends."""
    return CountCondition(fragment, 1)


__all__ = ["AppContext", "Application", "Fragment", "Operator", "OperatorSpec", "app_context", "once"]
