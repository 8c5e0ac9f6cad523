"""Build: an app's image from its plan, layer by layer, written by ourselves: no daemon, equal bytes each time."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from mapnode.errors import NodeError
from mapnode.package.archive import Image, write_archive
from mapnode.package.base_image import BaseImage, find_base_image
from mapnode.package.container_engine import ContainerEngine
from mapnode.package.contents import app_layer, model_layer, operators_layer, packages_layer
from mapnode.package.file_state import part_of
from mapnode.package.image_config import image_config
from mapnode.package.plan import WHEELS, Plan
from mapnode.package.provenance import make_provenance
from mapnode.package.sbom import make_sbom
from mapnode.package.wheelhouse import fill_wheelhouse, require_pip

if TYPE_CHECKING:
    from collections.abc import Collection


@dataclass(frozen=True)
class Built:
    """An image that is ready to be written.

    Attributes:
        image: The image.
        plan: What is in it.
        base: What it stands on.
    """

    image: Image
    plan: Plan
    base: BaseImage


def cache_folder() -> Path:
    """Where layers and wheels are kept between builds; to be deleted at will."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(home, "mapnode", "package")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(plan: Plan, tag: str, base_image: str, wheelhouse: Path | None) -> Built:
    """Make what an image consists of.

    Args:
        plan: What goes in.
        tag: The image's name.
        base_image: What it stands on: a file or an engine's image.
        wheelhouse: Folder with wheels; downloaded where it is None.

    Returns:
        The image: base, packages, model, operators, app; what changes most often is on top.

    Raises:
        WrongUse: If base image or wheels are missing or unfit.
    """
    cache = cache_folder()
    base = find_base_image(base_image, cache)
    wheels = wheelhouse or cache / WHEELS
    if wheelhouse is None:
        fill_wheelhouse(wheels, plan.needed, plan.lock)
    require_pip(wheels)
    layers = (
        *base.layers,
        packages_layer(plan.needed, wheels, cache),
        *(() if plan.model is None else (model_layer(plan.model, cache),)),
        operators_layer(plan, cache),
        app_layer(plan, cache),
    )
    return Built(Image(tag, image_config(plan, base, layers), layers), plan, base)


def write(built: Built, output: Path) -> list[Path]:
    """Write image, SBOM and provenance side by side.

    Args:
        built: What was built.
        output: The archive; the other two are called after it.

    Returns:
        The files.
    """
    part = part_of(output)
    with part.open("wb") as file:
        write_archive(built.image, file)
    part.replace(output)
    return [output, *write_records(built, output.with_suffix(""))]


def write_records(built: Built, stem: Path) -> list[Path]:
    """Write SBOM and provenance beside a file of that stem."""
    documents = {
        Path(f"{stem}.cdx.json"): make_sbom(built.image, built.plan, built.base),
        Path(f"{stem}.provenance.json"): make_provenance(built.image, built.plan, built.base),
    }
    for path, document in documents.items():
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return list(documents)


def load(built: Built, engine: ContainerEngine) -> None:
    """Give an image to an engine, without the layers that it has from the build before, where it is content with that.

    Raises:
        NodeError: If the engine refuses the image.
    """
    known = engine.image(built.image.tag)
    has = _common_layers(built.image, [] if known is None else known["RootFS"]["Layers"])
    try:
        engine.load(functools.partial(_write, built.image, has))
    except NodeError:
        if not has:
            raise
        engine.load(functools.partial(_write, built.image, ()))


def _write(image: Image, without: Collection[str], file: IO[bytes]) -> None:
    write_archive(image, file, without)


def _common_layers(image: Image, known: list[str]) -> list[str]:
    """Digests of the layers that both have from the base upwards."""
    common = []
    for layer, digest in zip(image.layers, known, strict=False):
        if f"sha256:{layer.digest}" != digest:
            break
        common.append(layer.digest)
    return common
