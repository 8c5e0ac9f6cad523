"""Source files: what of an app's or a model's folder goes into an image, whatever else tools left there."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.package.layout import OURS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEFT_BY_TOOLS = (".*", "__pycache__", "*.pyc", "*~", "#*#", "*.bak", "*.orig", "*.rej")
"""Of editors, file managers, version control and Python: they differ from one machine to another."""
TESTS = ("test_*.py", "*_test.py", "conftest.py", "tests")
"""What pytest takes for tests: they import what the app never does."""


def app_files_in(folder: Path) -> dict[str, Path]:
    """The files of an app, by their path in its folder.

    Raises:
        WrongUse: If one is neither a file nor a folder, or stands where our own modules do in an image.
    """
    if (folder / OURS).exists():
        raise WrongUse(
            f"{folder / OURS} would mix with our own {OURS} in an image and hides them elsewhere: give it another name"
        )
    return dict(_files(folder, "", (*LEFT_BY_TOOLS, *TESTS), ()))


def model_files_in(folder: Path) -> dict[str, Path]:
    """The files of a model, by their path in its folder.

    Raises:
        WrongUse: If one is neither a file nor a folder.
    """
    return dict(_files(folder, "", LEFT_BY_TOOLS, ()))


def _files(folder: Path, prefix: str, unwanted: tuple[str, ...], above: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    """Files below a folder; links are followed, since what they lead to is not in the image.

    Raises:
        WrongUse: If a link leads nowhere or in a circle, or something is neither a file nor a folder.
    """
    here = folder.resolve()
    if here in above:
        raise WrongUse(f"{folder} is a link to a folder that it lies in: an image cannot hold that")
    for path in sorted(folder.iterdir()):
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in unwanted):
            continue
        if path.is_dir():
            yield from _files(path, f"{prefix}{path.name}/", unwanted, (*above, here))
        elif path.is_file():
            yield f"{prefix}{path.name}", path.resolve()
        else:
            raise WrongUse(f"{path} is neither a file nor a folder, or a link that leads nowhere: take it away")
