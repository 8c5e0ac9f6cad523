"""Share: where the folders lie that are no packages (apps): in a checkout at its root, in a wheel under _share."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def shared_folder(name: str) -> Path:
    """The folder of that name."""
    installed = PACKAGE / "_share" / name
    return installed if installed.is_dir() else PACKAGE.parent / name


def import_root() -> Path:
    """The folder that has to be on the import path of an app's process so that it finds `operators`."""
    return PACKAGE.parent
