"""MonaiLoading: how much of MONAI is loaded with it.

`import monai` walks through all that lies below it and executes each module twice: seconds of each start. A chain of
transforms needs none of it but what it imports; a bundle names classes of MONAI without their modules, and finds them
only in those that are loaded.
"""

from __future__ import annotations

import contextlib
import pkgutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from _typeshed import StrOrBytesPath

PACKAGE, SDK = "monai.", "monai.deploy."
"""What the names of their modules begin with."""
OPTIONAL = "scipy.signal"
"""MONAI takes it where it is there, for ultrasound and signals over time; it brings scipy.stats, a second more."""
WALKED = "monai.losses"
"""A part that nothing else of MONAI asks for: it is there where MONAI walked through all of itself."""


@contextlib.contextmanager
def monai_loading(*, whole: bool) -> Iterator[None]:
    """Have MONAI, if it is imported now, load all of itself or only what is imported of it.

    The SDK, which lies below MONAI, is left alone in any case: its operators for video and rendering are not in a MAP.
    Whoever imports a part later gets it. Loaded by parts MONAI does without scipy.signal, for as long as the process
    lives: `UltrasoundConfidenceMap` and `SignalRemoveFrequency` then say that they miss it.

    Args:
        whole: Whether all of it has to be there; what an earlier import left out is loaded then.
    """
    listed = pkgutil.iter_modules
    hidden = not whole and OPTIONAL not in sys.modules

    def iter_modules(path: Iterable[StrOrBytesPath] | None = None, prefix: str = "") -> Iterator[pkgutil.ModuleInfo]:
        closed = SDK if whole else PACKAGE
        return iter(()) if prefix.startswith(closed) else listed(path, prefix)

    pkgutil.iter_modules = iter_modules
    if hidden:
        # An import of what stands as None is an ImportError.
        sys.modules[OPTIONAL] = None  # type: ignore[assignment]
    try:
        if whole and "monai" in sys.modules and WALKED not in sys.modules:
            _walk(sys.modules["monai"])
        yield
    finally:
        pkgutil.iter_modules = listed
        if hidden:
            del sys.modules[OPTIONAL]


def _walk(monai: ModuleType) -> None:
    """What `import monai` does at its end, packages first; a second import would wrap its handler of warnings twice."""
    # Not imported here: an app without a network would seem to want MONAI.
    load_submodules = sys.modules["monai.utils.module"].load_submodules
    for modules_too in (False, True):
        load_submodules(monai, modules_too, exclude_pattern=monai.excludes)
