"""Provenance: what an image was made from and by whom, as an in-toto statement with SLSA's predicate.

https://slsa.dev/spec/v1.0/provenance; it is not signed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.package.archive import Image
    from mapnode.package.base_image import BaseImage
    from mapnode.package.plan import Plan

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "mapnode package"


def make_provenance(image: Image, plan: Plan, base: BaseImage) -> dict[str, Any]:
    """The provenance of an image.

    Args:
        image: The image.
        plan: What is in it.
        base: What it stands on.

    Returns:
        The statement.
    """
    part = plan.app.manifest.application
    version = importlib.metadata.version("mapnode")
    return {
        "_type": STATEMENT,
        "subject": [{"name": image.tag, "digest": {"sha256": image.image_id}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "app": part.title,
                    "version": part.version,
                    "platform": plan.platform,
                    "baseImage": base.name.rsplit("/", 1)[-1],
                    "model": None if plan.model is None else plan.model.name,
                },
                "resolvedDependencies": [
                    *_source(plan.app.folder),
                    {"name": "requirements.lock", "digest": _sha256(plan.needed.lock.encode())},
                    *({"name": layer.description, "digest": {"sha256": layer.digest}} for layer in image.layers),
                ],
            },
            "runDetails": {"builder": {"id": "mapnode", "version": {"mapnode": version}}},
        },
    }


def _source(folder: Path) -> list[dict[str, Any]]:
    """The commit of the repository that the app lies in, if it does; changes that are not committed are said."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return []
    changed = bool(_git(folder, "status", "--porcelain"))
    return [{"name": "source", "digest": {"gitCommit": commit}, "annotations": {"changed": changed}}]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _sha256(content: bytes) -> dict[str, str]:
    return {"sha256": hashlib.sha256(content).hexdigest()}
