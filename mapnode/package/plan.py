"""Plan: what goes into the image of an app, decided before anything is built."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mapnode.errors import WrongUse
from mapnode.package.closure import ImportClosure, find_closure
from mapnode.package.cuda_packages import read_cuda_lock, with_cuda
from mapnode.package.distributions import (
    LockedPackage,
    NeededPackages,
    asked_for,
    find_packages,
    installed,
    read_lock,
    ways_of_finding,
)
from mapnode.package.file_state import keep_text
from mapnode.package.kept_imports import kept_imports
from mapnode.package.layout import OURS
from mapnode.package.manifests import LONGEST_MODEL_NAME, MODEL_NAME
from mapnode.package.torch_wheel import TORCH, lock_torch
from mapnode.share import import_root, shared_folder
from operators.core.errors import ModelError
from operators.core.model_folder import find_model

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.app_catalogue import App

Platform = Literal["cpu", "cuda"]
SDK = "monai-deploy-app-sdk"
HOLOSCAN = "holoscan-cu13"
WHEELS = "wheels"
"""Folder of the cache with wheels that were downloaded."""


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


def make_plan(app: App, model: Path | None, platform: Platform, cache: Path, wheelhouse: Path | None = None) -> Plan:
    """Find out what an app needs.

    Args:
        app: The app.
        model: Folder with its model.
        platform: What it computes on.
        cache: Folder that keeps what loading an app has shown: the app's imports stay the same for most of its changes.
        wheelhouse: Folder with wheels; the cache's own where it is None.

    Returns:
        The plan.

    Raises:
        WrongUse: If the model folder is missing or holds no model, or what the app loads is not locked, or torch is not
            installed as it is locked, or GPUs are asked for without a model.
    """
    if platform == "cuda" and model is None:
        raise WrongUse("--platform cuda needs --model DIR: without a network nothing in the image uses a GPU")
    model = None if model is None else _with_a_name(model)
    root, requirements = import_root(), shared_folder("requirements")
    engine = None if model is None else engine_module(model)
    with kept_imports(cache) as imports:
        closure = find_closure(app.folder, root, engine, imports)
    lock = read_lock(requirements / "base.lock")
    cuda: dict[str, LockedPackage] = {}
    if engine is not None:
        lock |= _lock_of_engine(requirements / "models.lock", closure.of_engine)
        cuda = read_cuda_lock(requirements) if platform == "cuda" else {}
        lock[TORCH] = cuda.get(TORCH) or lock_torch(wheelhouse, cache / WHEELS)
    kept = cache / f"needed-{_key(closure, root, lock)}.json"
    needed = _kept_needed(kept, lock)
    if needed is None:
        needed = find_packages(app.folder, closure, lock, root)
        if engine is not None:
            _require_engine(engine, closure.of_engine, needed)
        names = [package.name for package in needed.packages]
        keep_text(kept, json.dumps([names, needed.left_out]))
    return Plan(app, closure, with_cuda(needed, cuda), lock | cuda, model, platform)


def _with_a_name(model: Path) -> Path:
    """A model's folder by the name that it will have in the image.

    Raises:
        WrongUse: If pkg.json cannot hold that.
    """
    # Only what has no name is resolved: a link may have the better one.
    folder = model if model.name not in {"", ".."} else model.resolve()
    if not re.fullmatch(MODEL_NAME, folder.name) or len(folder.name) > LONGEST_MODEL_NAME:
        raise WrongUse(
            f"the model folder {folder} cannot give the model its name: pkg.json takes {LONGEST_MODEL_NAME} characters "
            "without white space; link to it by such a name, or rename it"
        )
    return folder


def _kept_needed(kept: Path, lock: dict[str, LockedPackage]) -> NeededPackages | None:
    """What an app was seen to need, while nothing has changed that the answer depends on."""
    if not kept.exists():
        return None
    names, left_out = json.loads(kept.read_text(encoding="utf-8"))
    return NeededPackages(tuple(lock[name] for name in names), tuple(left_out))


def engine_module(model: Path) -> str:
    """The module of ours that runs a model.

    Raises:
        WrongUse: If the folder is not there, or holds no model.
    """
    if not model.is_dir():
        raise WrongUse(f"the model folder {model} does not exist")
    try:
        return f"{OURS}.segment.networks.{find_model(model).kind.replace('-', '_')}"
    except ModelError as error:
        raise WrongUse(str(error)) from error


def _lock_of_engine(path: Path, modules: frozenset[str]) -> dict[str, LockedPackage]:
    """Entries of what an engine imports, and of what that asks for.

    MONAI takes pandas, matplotlib and more where nnU-Net brought them: an image has nothing to do with that.
    """
    wanted = asked_for(modules)
    return {name: package for name, package in read_lock(path).items() if name in wanted}


def _require_engine(engine: str, modules: frozenset[str], needed: NeededPackages) -> None:
    """What the app imports for its model has to be in the image.

    Raises:
        WrongUse: If some of it is left out.
    """
    if missing := sorted(modules & set(needed.left_out)):
        raise WrongUse(
            f"{engine} needs {', '.join(missing)}, which cannot be imported here or bring what is not locked: "
            "`make with-models` installs what the lock has"
        )


def _key(closure: ImportClosure, root: Path, lock: dict[str, LockedPackage]) -> str:
    """What the answer depends on.

    The foreign names, those that wait, our modules, the lock, what is installed here, how packages are found.
    """
    locked = (package.text for package in lock.values())
    words = "\n".join([*sorted(closure.names), "", *sorted(closure.later), *locked, *installed()])
    digest = hashlib.sha256(words.encode() + ways_of_finding())
    for file in closure.files:
        digest.update((root / file).read_bytes())
    return digest.hexdigest()
