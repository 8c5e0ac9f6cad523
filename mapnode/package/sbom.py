"""SBOM: what is in an image, as CycloneDX 1.5 (https://cyclonedx.org/docs/1.5/json/)."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mapnode.package.layers import source_date_epoch
from mapnode.package.source_files import model_files_in

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.package.archive import Image
    from mapnode.package.base_image import BaseImage
    from mapnode.package.distributions import LockedPackage
    from mapnode.package.plan import Plan

SPEC_VERSION = "1.5"
NAMESPACE = uuid.UUID("7b0d3f0e-6f5a-5c0b-9e55-6d61706e6f64")
"""Root of serial numbers: equal images have equal SBOMs."""


def make_sbom(image: Image, plan: Plan, base: BaseImage) -> dict[str, Any]:
    """The SBOM of an image.

    Args:
        image: The image.
        plan: What is in it.
        base: What it stands on.

    Returns:
        The document.
    """
    part = plan.app.manifest.application
    models = [] if plan.model is None else [_model(plan.model, plan.app.manifest.mapnode.model.licence)]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, image.image_id)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(source_date_epoch(), UTC).isoformat(),
            "tools": {"components": [_component("application", "mapnode", importlib.metadata.version("mapnode"))]},
            "component": {
                **_component("container", part.title, part.version),
                "description": part.summary,
                "hashes": [{"alg": "SHA-256", "content": image.image_id}],
            },
        },
        "components": [
            *map(_python_package, plan.needed.packages),
            *(_debian_package(name, version) for name, version in sorted(base.packages.items())),
            *models,
        ],
    }


def _component(kind: str, name: str, version: str, purl: str | None = None) -> dict[str, Any]:
    reference = purl or f"{kind}:{name}@{version}"
    known = {"type": kind, "bom-ref": reference, "name": name, "version": version}
    return known if purl is None else {**known, "purl": purl}


def _python_package(package: LockedPackage) -> dict[str, Any]:
    known = _component("library", package.name, package.version, f"pkg:pypi/{package.name}@{quote(package.version)}")
    licence = _licence(package.name)
    return known if licence is None else {**known, "licenses": [{"license": {"name": licence}}]}


def _licence(name: str) -> str | None:
    """What an installed package says of its licence (core metadata): an expression, a name, or a classifier."""
    try:
        said = importlib.metadata.metadata(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    short = (*(said.get_all("License-Expression") or ()), *(said.get_all("License") or ()))
    classifiers = [
        text.rsplit(" :: ", 1)[-1] for text in said.get_all("Classifier") or () if text.startswith("License")
    ]
    # Some put the whole text of the licence where its name belongs.
    return next((text for text in (*short, *classifiers) if text and "\n" not in text and len(text) < 100), None)


def _debian_package(name: str, version: str) -> dict[str, Any]:
    return _component("library", name, version, f"pkg:deb/debian/{quote(name)}@{quote(version)}?distro=bookworm")


def _model(folder: Path, licence: str) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name, path in model_files_in(folder).items():
        digest.update(os.fsencode(name))
        digest.update(path.read_bytes())
    known = _component("machine-learning-model", folder.name, digest.hexdigest()[:12])
    hashes = [{"alg": "SHA-256", "content": digest.hexdigest()}]
    return {**known, "hashes": hashes, "licenses": [{"license": {"name": licence}}]}
