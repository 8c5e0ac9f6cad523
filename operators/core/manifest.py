"""Manifest: what app.yaml says about an app, checked on load.

The keys `application` and `resources` are those that MAP packaging reads (MAP specification 1.0.0); `mapnode` holds
what a node and a reader of results need besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "app.yaml"


class ManifestError(Exception):
    """An app.yaml that is missing, no YAML, or not what the schema says."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ApplicationPart(_Part):
    """What the app is called."""

    title: str = Field(pattern="^[a-z][a-z0-9_]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    summary: str


class Resources(_Part):
    """What a run needs at most."""

    cpu: int = 1
    gpu: int = 0
    memory: str = "1Gi"


class Criteria(_Part):
    """Which series the app is for: all that is stated has to hold."""

    modality: str
    orientation: Literal["axial", "coronal", "sagittal"]
    min_slices: int = Field(ge=2)
    min_coverage_mm: float = Field(gt=0)
    max_slice_spacing_mm: float = Field(gt=0)
    image_type_excludes: tuple[str, ...] = ()
    """Values of Image Type (0008,0008) that make an image something else, such as LOCALIZER."""
    body_part_excludes: tuple[str, ...] = ()
    """Values of Body Part Examined (0018,0015) that the app knows nothing of; absent or other values pass."""


class Model(_Part):
    """What segments."""

    engine: Literal["classical"]
    licence: str


class OutputPart(_Part):
    """One kind of object that the app makes."""

    kind: Literal["seg", "sr", "key_image"]
    description: str


class NodePart(_Part):
    """What the node and its users need to know."""

    input: Criteria
    model: Model
    outputs: tuple[OutputPart, ...]
    intended_use: str
    refuses: tuple[str, ...]
    weak_points: tuple[str, ...]
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters that a rule or a job may replace, with their defaults."""


class Manifest(_Part):
    """app.yaml."""

    application: ApplicationPart
    resources: Resources
    mapnode: NodePart


def read_manifest(path: Path) -> Manifest:
    """Read and check an app.yaml.

    Args:
        path: The file.

    Returns:
        The manifest.

    Raises:
        ManifestError: If the file is absent, no YAML, or has a wrong key or value, naming it.
    """
    try:
        return Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ManifestError(f"{path}: {wrong}") from error
    except (yaml.YAMLError, ValueError) as error:
        # PyYAML lets bytes that are no UTF-8 and dates that are none escape as ValueError.
        raise ManifestError(f"{path}: no YAML: {error}") from error
