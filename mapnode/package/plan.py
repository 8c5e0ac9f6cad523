"""Plan: what goes into the image of an app, decided before anything is built."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mapnode.errors import WrongUse
from mapnode.package.closure import ImportClosure, find_closure
from mapnode.package.distributions import LockedPackage, NeededPackages, find_packages, read_lock
from mapnode.share import import_root, shared_folder

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.app_catalogue import App

Platform = Literal["cpu", "cuda"]
SDK = "monai-deploy-app-sdk"
HOLOSCAN = "holoscan-cu13"


@dataclass(frozen=True)
class Plan:
    """What goes into an image.

    Attributes:
        app: The app.
        closure: Our modules that it imports.
        needed: Locked packages that it loads.
        lock: All locked packages, by name.
        model: Folder with its model, or None.
        platform: What it computes on.
    """

    app: App
    closure: ImportClosure
    needed: NeededPackages
    lock: dict[str, LockedPackage]
    model: Path | None
    platform: Platform

    def version_of(self, package: str) -> str:
        """The version of a locked package; 0.0.0 where the app does not load it."""
        return next((p.version for p in self.needed.packages if p.name == package), "0.0.0")


def make_plan(app: App, model: Path | None, platform: Platform, cache: Path) -> Plan:
    """Find out what an app needs.

    Args:
        app: The app.
        model: Folder with its model.
        platform: What it computes on.
        cache: Folder that keeps what loading an app has shown: the app's imports stay the same for most of its changes.

    Returns:
        The plan.

    Raises:
        WrongUse: If the model folder is missing, or what the app loads is not locked.
    """
    if model is not None and not model.is_dir():
        raise WrongUse(f"the model folder {model} does not exist")
    root = import_root()
    closure = find_closure(app.folder, root)
    # An engine that is a network comes with its model; torch and what belongs to it are locked apart (decision 0002).
    lock_path = shared_folder("requirements") / ("base.lock" if model is None else "models.lock")
    lock = read_lock(lock_path)
    kept = cache / f"needed-{_key(closure, root, lock_path)}.json"
    if kept.exists():
        names, left_out = json.loads(kept.read_text(encoding="utf-8"))
        needed = NeededPackages(tuple(lock[name] for name in names), tuple(left_out))
        return Plan(app, closure, needed, lock, model, platform)
    needed = find_packages(app.folder, closure, lock, root)
    kept.write_text(json.dumps([[package.name for package in needed.packages], needed.left_out]), encoding="utf-8")
    return Plan(app, closure, needed, lock, model, platform)


def _key(closure: ImportClosure, root: Path, lock_path: Path) -> str:
    """What the answer depends on: the foreign names, those that wait, our modules, and the lock."""
    words = "\n".join([*sorted(closure.names), "", *sorted(closure.later)])
    digest = hashlib.sha256(words.encode())
    for path in (lock_path, *(root / file for file in closure.files)):
        digest.update(path.read_bytes())
    return digest.hexdigest()
