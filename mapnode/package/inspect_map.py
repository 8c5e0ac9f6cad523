"""Inspect: what a container image says of itself as a MAP, checked, whoever made it."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapnode.errors import WrongUse
from mapnode.package import layout
from mapnode.package.archive import ImageArchive, reading
from mapnode.package.container_engine import find_engine
from mapnode.package.manifests import (
    AppManifest,
    ManifestInvalid,
    PackageManifest,
    deviations,
    read_app_manifest,
    read_package_manifest,
)

VERSION_LABEL = "org.opencontainers.image.version"
TITLE_LABEL = "org.opencontainers.image.title"


@dataclass(frozen=True)
class InspectedMap:
    """A MAP that can be run.

    Attributes:
        app: Its app.json.
        package: Its pkg.json.
        config: The image's configuration.
        warnings: Where it leaves the specification without harm.
    """

    app: AppManifest
    package: PackageManifest
    config: dict[str, Any]
    warnings: tuple[str, ...]

    @property
    def title(self) -> str:
        """What it calls itself; empty where it does not."""
        return str(self.labels.get(TITLE_LABEL, ""))

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels."""
        return (self.config.get("config") or {}).get("Labels") or {}


def inspect_map(name: str) -> InspectedMap:
    """Read and check the manifests of an image.

    Args:
        name: An image's archive, else the name of an image that Docker or Podman has.

    Returns:
        What it says of itself.

    Raises:
        WrongUse: If there is no such image.
        ManifestInvalid: If it is no MAP: a manifest is missing, or not what the specification says.
    """
    path = Path(name)
    if path.is_file():
        return _inspect_archive(path)
    engine = find_engine()
    if engine.image(name) is None:
        raise WrongUse(f"there is no file {name}, and {engine.program} has no image of that name")
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, "image.tar")
        engine.save(name, path)
        return _inspect_archive(path)


def _inspect_archive(path: Path) -> InspectedMap:
    """Read and check what an archive holds.

    Raises:
        WrongUse: If it is no image's archive.
        ManifestInvalid: If it is no MAP.
    """
    with reading(str(path)), tarfile.open(path) as tar:
        archive = ImageArchive(tar, str(path))
        files = archive.files({layout.APP_MANIFEST, layout.PKG_MANIFEST})
    missing = sorted({layout.APP_MANIFEST, layout.PKG_MANIFEST} - files.keys())
    if missing:
        raise ManifestInvalid(f"the image is no MAP: {' and '.join(missing)} missing")
    app = read_app_manifest(files[layout.APP_MANIFEST])
    package = read_package_manifest(files[layout.PKG_MANIFEST])
    warnings = (*deviations(app, package), *_deviations_of_image(archive.config, app))
    return InspectedMap(app, package, archive.config, warnings)


def _deviations_of_image(config: dict[str, Any], app: AppManifest) -> list[str]:
    part = config.get("config") or {}
    found = []
    version = (part.get("Labels") or {}).get(VERSION_LABEL)
    if version != app.version:
        found.append(f"the label {VERSION_LABEL} is {version or 'missing'}, app.json's version {app.version}")
    if TITLE_LABEL not in (part.get("Labels") or {}):
        found.append(f"the label {TITLE_LABEL} is missing")
    if str(part.get("User") or "root").split(":")[0] in {"", "0", "root"}:
        found.append("the image runs as root")
    if not part.get("Entrypoint") and not part.get("Cmd"):
        found.append("the image has neither entry point nor command")
    return found
