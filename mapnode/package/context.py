"""Context: a Dockerfile and what it takes, for whoever builds images by another program; the same files come out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import string
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.package import layout
from mapnode.package.contents import app_files, model_files, operators_files
from mapnode.package.image_config import environment, labels
from mapnode.package.layers import is_program
from mapnode.package.wheelhouse import PIP, fill_wheelhouse, wheels_of
from mapnode.share import shared_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mapnode.package.plan import Plan


def write_context(plan: Plan, base_image: str, wheelhouse: Path | None, folder: Path) -> None:
    """Write a build context.

    Args:
        plan: What goes in.
        base_image: Name of an image that the builder has; a file has to be imported first.
        wheelhouse: Folder with wheels; downloaded where it is None.
        folder: Where the context goes; made new.

    Raises:
        WrongUse: If the folder is there already, the base image is a file, or a wheel is missing.
    """
    if folder.exists():
        raise WrongUse(f"{folder} exists: a build context is made new, in a folder of its own")
    if Path(base_image).is_file():
        raise WrongUse(f"a Dockerfile names an image: `docker import {base_image} NAME`, then --base-image NAME")
    folder.mkdir(parents=True)
    with _readable_by_all():
        _fill(plan, base_image, wheelhouse, folder)


@contextlib.contextmanager
def _readable_by_all() -> Iterator[None]:
    """COPY keeps modes, and the image's user is not root: what is made here is open, whatever the caller's umask."""
    mask = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(mask)


def _fill(plan: Plan, base_image: str, wheelhouse: Path | None, folder: Path) -> None:
    map_build = shared_folder("map-build")
    for name in ("prepare-python", "prune.txt"):
        shutil.copy(map_build / name, folder)
    shutil.copytree(map_build / "stand-ins", folder / "stand-ins", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements.lock").write_text(plan.needed.lock, encoding="utf-8")
    _write_wheels(plan, wheelhouse, folder / "wheels")
    _write_files(operators_files(plan, folder), folder / "operators")
    _write_files(app_files(plan), folder / "app")
    (folder / "models").mkdir()
    if plan.model is not None:
        _write_files(
            {name.removeprefix(layout.MODEL_ROOT): path for name, path in model_files(plan.model).items()},
            folder / "models",
        )
    (folder / "Dockerfile").write_text(dockerfile(plan, base_image), encoding="utf-8")


def dockerfile(plan: Plan, base_image: str) -> str:
    """The Dockerfile of a planned image."""
    template = string.Template((shared_folder("map-build") / "Dockerfile.template").read_text(encoding="utf-8"))
    return template.substitute(
        base=base_image,
        packages_root=layout.PACKAGES_ROOT,
        model_root=layout.MODEL_ROOT,
        environment=_pairs(environment(plan)),
        labels=_pairs(labels(plan)),
        user=f"{layout.USER}:{layout.USER}",
        work_dir=layout.WORK_DIR,
        entry_point=layout.ENTRY_POINT,
    )


def _pairs(values: Mapping[str, str]) -> str:
    """Names and quoted values, one a line, as ENV and LABEL take them; $ would be a variable there."""
    return " \\\n    ".join(f"{name}={json.dumps(text).replace('$', chr(92) + '$')}" for name, text in values.items())


def _write_wheels(plan: Plan, wheelhouse: Path | None, folder: Path) -> None:
    """The wheels of the image's packages and pip's, and no others.

    Raises:
        WrongUse: If one is missing.
    """
    if wheelhouse is None:
        fill_wheelhouse(folder, plan.needed, plan.lock)
        return
    folder.mkdir()
    for package in (*plan.needed.packages, plan.lock[PIP]):
        for path in wheels_of(package, wheelhouse):
            shutil.copy(path, folder)


def _write_files(files: Mapping[str, Path | bytes | None], folder: Path) -> None:
    for name, what in files.items():
        path = folder / name.removeprefix("/")
        if what is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(what, bytes):
                path.write_bytes(what)
            else:
                shutil.copyfile(what, path)
            path.chmod(0o755 if isinstance(what, Path) and is_program(what) else 0o644)
