"""Share: where the folders lie that are no packages (apps): in a checkout at its root, in a wheel under _share."""

from __future__ import annotations

import os
from pathlib import Path

from mapnode.errors import WrongUse

APPS_VARIABLE = "MAPNODE_APPS"
"""Folders with more apps, separated as PATH is: those of a site, a test, a benchmark."""
REFERENCES_VARIABLE = "MAPNODE_REFERENCES"
"""Folder with the site's reference sets, one file an app: those that `mapnode qc reference` makes."""
PACKAGE = Path(__file__).parent


def shared_folder(name: str) -> Path:
    """The folder of that name."""
    installed = PACKAGE / "_share" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def app_folders() -> list[Path]:
    """The folders that hold one folder an app: ours first, then those of MAPNODE_APPS.

    Raises:
        WrongUse: If MAPNODE_APPS names what is no folder.
    """
    more = [Path(name) for name in os.environ.get(APPS_VARIABLE, "").split(os.pathsep) if name]
    for folder in more:
        if not folder.is_dir():
            raise WrongUse(f"{APPS_VARIABLE} names {folder}, which is no folder")
    return [shared_folder("apps"), *more]


def references_folder() -> Path | None:
    """The folder of MAPNODE_REFERENCES; None where it is not set.

    Raises:
        WrongUse: If it names what is no folder.
    """
    name = os.environ.get(REFERENCES_VARIABLE)
    if name and not Path(name).is_dir():
        raise WrongUse(f"{REFERENCES_VARIABLE} names {name}, which is no folder")
    return Path(name) if name else None


def use_references(folder: Path | None) -> None:
    """Have this process and its children look there for reference sets; None leaves it to MAPNODE_REFERENCES."""
    if folder is not None:
        os.environ[REFERENCES_VARIABLE] = str(folder.resolve())


def import_root() -> Path:
    """The folder that has to be on the import path of an app's process so that it finds `operators`."""
    return PACKAGE.parent
