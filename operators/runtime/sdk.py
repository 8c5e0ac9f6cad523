"""SDK: the few classes of the MONAI Deploy App SDK that mapnode builds on, behind one typed door.

holoscan and monai ship no types; everything untyped stays in this file.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

# The variable is read when the core library loads: its info lines say nothing about a study.
os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "WARN")

from monai.deploy.conditions import CountCondition
from monai.deploy.core import AppContext, Application, Fragment, Operator, OperatorSpec

if TYPE_CHECKING:
    from collections.abc import Sequence


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
