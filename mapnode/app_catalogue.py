"""App catalogue: which apps there are, from their manifests; no app's Python is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.share import shared_folder
from operators.core.manifest import MANIFEST_NAME, Manifest, ManifestError, read_manifest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class App:
    """One app: its folder and what it says of itself."""

    folder: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its title, which is the folder's name."""
        return self.manifest.application.title


def list_apps() -> list[App]:
    """All apps, by name.

    Raises:
        WrongUse: If a manifest is not what the schema says.
    """
    folders = sorted(path.parent for path in shared_folder("apps").glob(f"*/{MANIFEST_NAME}"))
    try:
        return [App(folder, read_manifest(folder / MANIFEST_NAME)) for folder in folders]
    except ManifestError as error:
        raise WrongUse(str(error)) from error


def find_app(name: str) -> App:
    """The app of that name.

    Raises:
        WrongUse: If there is none, naming those that there are.
    """
    apps = {app.name: app for app in list_apps()}
    if name not in apps:
        raise WrongUse(f"there is no app {name!r}; there are: {', '.join(apps) or 'none'} (mapnode apps)")
    return apps[name]
