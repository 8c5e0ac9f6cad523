"""Share: where the folders lie that are no packages (apps): in a checkout at its root, in a wheel under _share."""

from __future__ import annotations

import os
from pathlib import Path

from mapnode.errors import WrongUse

APPS_VARIABLE = "MAPNODE_APPS"
"""Folders with more apps, separated as PATH is: those of a site, a test, a benchmark."""
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


def import_root() -> Path:
    """The folder that has to be on the import path of an app's process so that it finds `operators`."""
    return PACKAGE.parent
