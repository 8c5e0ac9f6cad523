"""New app: a folder with a running app in it, which its author then changes."""

from __future__ import annotations

import keyword
import re
from typing import TYPE_CHECKING

from mapnode.app_catalogue import list_apps
from mapnode.errors import WrongUse
from mapnode.share import shared_folder

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE_NAME = "my_app"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST_NAME = 48
"""Series Description and algorithm names (LO, 64 characters) hold it with a version."""


def make_app(name: str, into: Path) -> list[Path]:
    """Write an app of that name.

    Args:
        name: Its name: snake case.
        into: The folder of apps; made where missing.

    Returns:
        The files that were written.

    Raises:
        WrongUse: If the name is none, an app has it already, or the folder is there or cannot be written.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
        raise WrongUse(
            f"{name!r} cannot be the name of an app: lower case letters, digits and single underscores, a letter "
            f"first, at most {LONGEST_NAME}, for instance liver_volume"
        )
    target = into / name
    taken = next((app.folder for app in list_apps() if app.name == name), target if target.exists() else None)
    if taken is not None:
        raise WrongUse(f"there is an app {name} already: {taken}; choose another name")
    try:
        target.mkdir(parents=True)
        return [_write(path, target, name) for path in sorted((shared_folder("new-app") / TEMPLATE_NAME).iterdir())]
    except OSError as error:
        raise WrongUse(f"{target} cannot be written: {error.strerror}") from error


def _write(template: Path, target: Path, name: str) -> Path:
    path = target / template.name.replace(TEMPLATE_NAME, name)
    path.write_text(_renamed(template.read_text(encoding="utf-8"), name), encoding="utf-8")
    return path


def _renamed(text: str, name: str) -> str:
    """A text of the template with the app's name in it, and its class's.

    Examples:
        >>> _renamed("class MyApp: # my_app", "liver_volume")
        'class LiverVolume: # liver_volume'
    """
    return text.replace(TEMPLATE_NAME, name).replace(_class_name(TEMPLATE_NAME), _class_name(name))


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
