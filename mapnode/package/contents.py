"""Contents: the layers of a MAP above its base image, each in a cache until what it is made of changes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.errors import NodeError, WrongUse
from mapnode.package import layout
from mapnode.package.app_manifests import app_manifest, package_manifest
from mapnode.package.base_image import PYTHON
from mapnode.package.file_state import state_key
from mapnode.package.layers import Layer, is_program, kept_layer, source_date_epoch, tree, write_layer
from mapnode.package.source_files import app_files_in, model_files_in
from mapnode.package.wheelhouse import PIP, wheels_of
from mapnode.share import import_root, shared_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mapnode.package.distributions import NeededPackages
    from mapnode.package.plan import Plan

Files = dict[str, "Path | bytes | None"]


def packages_layer(needed: NeededPackages, wheelhouse: Path, cache: Path) -> Layer:
    """The layer of Python packages.

    Args:
        needed: What goes in.
        wheelhouse: Folder with the wheels of all of them, and pip's own.
        cache: Folder that keeps the layer.

    Returns:
        The layer.

    Raises:
        WrongUse: If a wheel is missing or not the locked one.
    """
    map_build = shared_folder("map-build")
    makers = [map_build / "prepare-python", map_build / "prune.txt", *sorted((map_build / "stand-ins").rglob("*.py"))]
    path = cache / f"packages-{_key([needed.lock.encode(), *(file.read_bytes() for file in makers)])}.tar"
    description = f"{len(needed.packages)} locked packages"
    if kept := kept_layer(path, description):
        return kept
    with tempfile.TemporaryDirectory(dir=cache) as work:
        folder = Path(work, "python")
        lock = Path(work, "requirements.lock")
        lock.write_text(needed.lock, encoding="utf-8")
        prepare_python("install", lock, _chosen(needed, wheelhouse, Path(work, "wheels")), folder, layout.PACKAGES_ROOT)
        return write_layer(path, tree(folder, layout.PACKAGES_ROOT), description)


def _chosen(needed: NeededPackages, wheelhouse: Path, folder: Path) -> Path:
    """A folder with the wheels of an image and pip's alone: of two builds of a version pip takes the wrong one.

    Raises:
        WrongUse: If a wheel is missing.
    """
    folder.mkdir()
    wheels = [wheel for package in needed.packages for wheel in wheels_of(package, wheelhouse)]
    for wheel in (*wheels, *wheelhouse.glob(f"{PIP}-*.whl")):
        (folder / wheel.name).symlink_to(wheel.resolve())
    return folder


def model_layer(model: Path, cache: Path) -> Layer:
    """The layer of a model folder, below the model root by the folder's name."""
    files = model_files(model)
    stamps = (f"{name} {state_key(path)}".encode() for name, path in files.items())
    return _cached("model", files, stamps, f"model {model.name}", cache)


def model_files(model: Path) -> dict[str, Path]:
    """The files of a model, by path in the image."""
    return {f"{layout.MODEL_ROOT}/{model.name}/{name}": path for name, path in model_files_in(model).items()}


def operators_layer(plan: Plan, cache: Path) -> Layer:
    """The layer of our modules that the app imports, with their pyc."""
    root = import_root()
    sources = {f"{layout.APP_ROOT}/{file.as_posix()}": root / file for file in plan.closure.files}
    path = cache / f"operators-{_key(_named(sources))}.tar"
    description = f"{len(sources)} files of {layout.OURS}"
    return kept_layer(path, description) or write_layer(path, operators_files(plan, cache), description)


def operators_files(plan: Plan, cache: Path) -> Files:
    """Our modules with their pyc, by path in the image; contents, since the pyc lie nowhere for long."""
    with tempfile.TemporaryDirectory(dir=cache) as work:
        for file in plan.closure.files:
            target = Path(work, file)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((import_root() / file).read_bytes())
        prepare_python("compile", Path(work), layout.APP_ROOT)
        found = tree(Path(work), layout.APP_ROOT)
        return {name: what.read_bytes() if isinstance(what, Path) else what for name, what in found.items()}


def app_layer(plan: Plan, cache: Path) -> Layer:
    """The layer that changes with the app: its files, manifests, documents and the entry point."""
    files = app_files(plan)
    return _cached("app", files, _named(files), f"{plan.app.name} {plan.app.manifest.application.version}", cache)


def app_files(plan: Plan) -> Files:
    """All that an app brings but operators, packages and model, by path in the image."""
    files: Files = dict.fromkeys(layout.FOLDERS)
    files |= {f"{layout.APP_ROOT}/{name}": path for name, path in app_files_in(plan.app.folder).items()}
    files[layout.CONFIG] = plan.app.folder / "app.yaml"
    files[layout.ENTRY_POINT] = shared_folder("map-build") / "entry-point"
    files[layout.APP_MANIFEST] = app_manifest(plan).to_json().encode()
    files[layout.PKG_MANIFEST] = package_manifest(plan).to_json().encode()
    files[f"{layout.DOCS_ROOT}/requirements.lock"] = plan.needed.lock.encode()
    readme = plan.app.folder / "README.md"
    if readme.is_file():
        files[f"{layout.DOCS_ROOT}/README.md"] = readme
    return files


def prepare_python(command: str, *arguments: Path | str) -> None:
    """Run map-build/prepare-python with this Python.

    Raises:
        WrongUse: If pip finds a wheel missing, or not the locked one.
        NodeError: If anything else fails.
    """
    script = shared_folder("map-build") / "prepare-python"
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(script), command, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    if errors:
        raise WrongUse(f"packages cannot be installed from the wheelhouse: {errors[-1]}")
    if done.returncode != 0:
        raise NodeError(f"prepare-python {command}: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")


def _cached(
    kind: str, files: Mapping[str, Path | bytes | None], parts: Iterable[bytes], description: str, cache: Path
) -> Layer:
    path = cache / f"{kind}-{_key(parts)}.tar"
    return kept_layer(path, description) or write_layer(path, files, description)


def _named(files: Mapping[str, Path | bytes | None]) -> Iterable[bytes]:
    """What a layer of small files depends on: names, contents, and what may be run."""
    for name, what in files.items():
        yield os.fsencode(name)
        yield bytes([isinstance(what, Path) and is_program(what)])
        yield what.read_bytes() if isinstance(what, Path) else what or b""


def _key(parts: Iterable[bytes]) -> str:
    """A cache key: the parts, the date of everything, and the Python that compiles."""
    digest = hashlib.sha256(f"{source_date_epoch()} {PYTHON}".encode())
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
