"""App catalogue: which apps there are, from their manifests; no app's Python is imported."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mapnode.errors import WrongUse
from mapnode.share import app_folders, references_folder
from operators.core.errors import ModelError
from operators.core.manifest import MANIFEST_NAME, Manifest, ManifestError, read_manifest
from operators.core.model_folder import ModelFolder, find_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from operators.core.contract import ObjectKind
    from operators.core.manifest import OutputPart, Resources


class Runnable(Protocol):
    """What a rule can have run: an app of the catalogue, or a container image (`mapnode.containers.images`)."""

    @property
    def name(self) -> str:
        """What rules, jobs and switches call it."""

    @property
    def version(self) -> str:
        """Of the application."""

    @property
    def needs(self) -> Resources:
        """What a run needs at most."""

    @property
    def outputs(self) -> tuple[OutputPart, ...]:
        """What it may give."""

    @property
    def choices(self) -> frozenset[ObjectKind]:
        """Of these, what a job can ask for or not."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that a rule may set, with their defaults."""

    @property
    def model_digest(self) -> str:
        """SHA-256 of its weights; empty where the node gives it none."""

    @property
    def reference_file(self) -> Path | None:
        """The site's reference set for it, if there is one."""

    @property
    def reference_digest(self) -> str | None:
        """SHA-256 of that file."""


@dataclass(frozen=True)
class App:
    """One app: its folder and what it says of itself.

    Attributes:
        folder: Where its app.py lies.
        manifest: Its app.yaml.
        model: The folder of its weights, where the node has one for it.
    """

    folder: Path
    manifest: Manifest
    model: ModelFolder | None = None

    @property
    def name(self) -> str:
        """Its title, which is the folder's name."""
        return self.manifest.application.title

    @property
    def version(self) -> str:
        """Of the application."""
        return self.manifest.application.version

    @property
    def needs(self) -> Resources:
        """What a run needs at most."""
        return self.manifest.resources

    @property
    def outputs(self) -> tuple[OutputPart, ...]:
        """What it may give."""
        return self.manifest.mapnode.outputs

    @property
    def choices(self) -> frozenset[ObjectKind]:
        """Of these, what a job can ask for or not."""
        return frozenset(part.kind for part in self.outputs)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that a rule may set, with their defaults."""
        return self.manifest.mapnode.parameters

    @property
    def model_digest(self) -> str:
        """SHA-256 of its weights; empty where the node gives it none."""
        return "" if self.model is None else self.model.digest

    @property
    def disabled(self) -> str | None:
        """Why it cannot run: it has neither weights nor a classical default; None where it can."""
        try:
            self.manifest.require_weights(None if self.model is None else self.model.path)
        except ModelError as error:
            return str(error)
        return None

    @property
    def reference_file(self) -> Path | None:
        """The site's reference set for it, if there is one."""
        folder = references_folder()
        path = None if folder is None else folder / f"{self.name}.json"
        return path if path is not None and path.is_file() else None

    @property
    def reference_digest(self) -> str | None:
        """SHA-256 of that file: findings depend on it, and so does a result's identity."""
        # Imported here: `mapnode apps` would load numpy for nothing.
        from operators.core.reference_set import digest_of_file

        path = self.reference_file
        return None if path is None else digest_of_file(path)


def list_apps(models: Mapping[str, Path] | None = None) -> list[App]:
    """All apps: ours by name, then those of each folder of MAPNODE_APPS.

    Args:
        models: Folders of weights by the apps' names (`models` of mapnode.yaml).

    Raises:
        WrongUse: If a manifest is not what the schema says, two apps have one name, or a folder holds no model.
    """
    folders = [path.parent for parent in app_folders() for path in sorted(parent.glob(f"*/{MANIFEST_NAME}"))]
    try:
        manifests = [(folder, _manifest(folder / MANIFEST_NAME)) for folder in folders]
        found = {name: find_model(folder) for name, folder in (models or {}).items()}
    except (ManifestError, ModelError) as error:
        raise WrongUse(str(error)) from error
    apps = [App(folder, manifest, found.get(manifest.application.title)) for folder, manifest in manifests]
    _require_own_names(apps)
    return apps


def _manifest(path: Path) -> Manifest:
    """A manifest, read anew where its file changed: the node asks at each step of each job."""
    state = path.stat()
    return _unchanged_manifest(path, (state.st_size, state.st_mtime_ns, state.st_ino))


@functools.lru_cache(maxsize=256)
def _unchanged_manifest(path: Path, stamp: tuple[int, int, int]) -> Manifest:
    return read_manifest(path)


def _require_own_names(apps: list[App]) -> None:
    """A job names its app by its title: two of one title would be one app with two kinds of results.

    Raises:
        WrongUse: If two apps have the same name.
    """
    first: dict[str, App] = {}
    for app in apps:
        other = first.setdefault(app.name, app)
        if other is not app:
            raise WrongUse(
                f"{app.folder} and {other.folder} are both called {app.name}: rename one (application.title)"
            )


def find_app(name: str, models: Mapping[str, Path] | None = None) -> App:
    """The app of that name.

    Args:
        name: Its name.
        models: As in list_apps.

    Raises:
        WrongUse: If there is none, naming those that there are.
    """
    apps = {app.name: app for app in list_apps(models)}
    if name not in apps:
        raise WrongUse(f"there is no app {name!r}; there are: {', '.join(apps) or 'none'} (mapnode apps)")
    return apps[name]
