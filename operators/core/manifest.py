"""Manifest: what app.yaml says about an app, checked on load.

The keys `application` and `resources` are those that MAP packaging reads (MAP specification 1.0.0); `mapnode` holds
what a node and a reader of results need besides.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from operators.core.contract import ObjectKind
from operators.core.errors import ModelError
from operators.core.findings import FindingCode
from operators.core.model_folder import EngineKind
from operators.core.patient_ends import AS_STORED, END_PAIRS
from operators.core.plain_yaml import read_yaml
from operators.core.quality_limits import QualityLimits

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_NAME = "app.yaml"


class ManifestError(Exception):
    """An app.yaml that is missing, no YAML, or not what the schema says."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VolumeProperty(StrEnum):
    """What a criterion can ask of a volume."""

    MODALITY = "modality"
    """Modality (0008,0060)."""
    BODY_PART = "body_part"
    """Body Part Examined (0018,0015)."""
    ORIENTATION = "orientation"
    """axial, coronal or sagittal, from the normal of the slices; oblique beyond 20 degrees from all three."""
    IMAGE_TYPE = "image_type"
    """Values of Image Type (0008,0008) that all images have."""
    SERIES_DESCRIPTION = "series_description"
    """Series Description (0008,103E)."""
    PROTOCOL_NAME = "protocol_name"
    """Protocol Name (0018,1030)."""
    KERNEL = "kernel"
    """Convolution Kernel (0018,1210)."""
    CONTRAST_AGENT = "contrast_agent"
    """Contrast/Bolus Agent (0018,0010); absent for native scans."""
    CONTRAST_PHASE = "contrast_phase"
    """Contrast/Bolus Agent Phase (0018,9344) of enhanced CT; elsewhere only descriptions tell."""
    MANUFACTURER = "manufacturer"
    """Manufacturer (0008,0070)."""
    SLICE_THICKNESS_MM = "slice_thickness_mm"
    """Slice Thickness (0018,0050): how much tissue a slice averages."""
    SLICE_SPACING_MM = "slice_spacing_mm"
    """Distance between neighbouring slices, from their positions."""
    COVERAGE_MM = "coverage_mm"
    """From the first to the last slice along the normal."""
    SLICES = "slices"
    """Number of slices."""


class ApplicationPart(_Part):
    """What the app is called."""

    title: str = Field(pattern="^[a-z][a-z0-9_]*$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    summary: str


class Resources(_Part):
    """What a run needs at most."""

    cpu: int = Field(default=1, ge=0)
    gpu: int = Field(default=0, ge=0)
    memory: str = Field(default="1Gi", pattern=r"^\d+(\.\d+)?(k|Ki|M|Mi|G|Gi)?$")


class Condition(_Part):
    """What a property of a volume has to be: all that is stated has to hold.

    Text is compared without regard to case. A property with several values, such as Image Type, meets `any_of` and
    `matches` where one of them does, `none_of` where none does. What is absent meets `none_of` and `present: false`
    alone.
    """

    any_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    matches: str | None = None
    """Regular expression, searched anywhere in the text."""
    at_least: float | None = None
    at_most: float | None = None
    present: bool | None = None

    @field_validator("matches")
    @classmethod
    def _check_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _require_something(self) -> Self:
        if self == Condition.model_construct():
            raise ValueError("a condition needs any_of, none_of, matches, at_least, at_most or present")
        return self


class Preference(_Part):
    """A condition that makes one volume better than another."""

    property: VolumeProperty
    condition: Condition
    weight: float = Field(default=1.0, gt=0)


class Criteria(_Part):
    """Which volume of which series the app is for."""

    must: dict[VolumeProperty, Condition]
    """All have to hold."""
    prefer: tuple[Preference, ...] = ()
    """Among volumes that fit, the highest sum of weights wins, then the one that covers most."""
    accepts: tuple[FindingCode, ...] = ()
    """Findings with which a volume may be measured all the same; any other one refuses it."""


class Model(_Part):
    """What segments.

    Where a run is given a model folder, the folder's form decides the engine (`operators.core.model_folder`).
    """

    engine: EngineKind
    """What segments without a model folder; the form of the folder that the app is made for where it needs one."""
    classical_default: bool = False
    """Whether a method without weights stands in where no folder is given; without one the app is disabled."""
    licence: str
    labels: dict[str, str] = Field(default_factory=dict)
    """Names of the catalogue for what a model's labels are called, where they are called otherwise."""
    orientation: str = "LPS"
    """The ends that columns, rows and slices of a model's input run to (nibabel's axis codes): LPS as SimpleITK reads
    an axial CT, RAS for a model that was trained on NIfTI files of that order; `stored` leaves a volume as it is."""

    @field_validator("orientation")
    @classmethod
    def _check_orientation(cls, value: str) -> str:
        if value != AS_STORED and sorted(END_PAIRS.get(end, end) for end in value) != ["A", "R", "S"]:
            raise ValueError(
                f"{value!r} is no orientation; it is three letters, one each of LR, PA and IS, or {AS_STORED}"
            )
        return value

    @property
    def needs_weights(self) -> bool:
        """Whether nothing can segment without a model folder."""
        return self.engine is not EngineKind.CLASSICAL and not self.classical_default


class OutputPart(_Part):
    """One kind of object that the app makes."""

    kind: ObjectKind
    description: str
    default: bool = True
    """Whether it is made where nobody says otherwise."""
    forms: tuple[str, ...] = ()
    """Forms that it can have, the first one where nobody says otherwise."""


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
    quality: QualityLimits = QualityLimits()
    """On which inputs, and with which results, the numbers can be trusted."""


class Manifest(_Part):
    """app.yaml."""

    application: ApplicationPart
    resources: Resources
    mapnode: NodePart

    def require_weights(self, folder: Path | None) -> None:
        """Refuse an app that has nothing to segment with.

        Args:
            folder: The folder of its model, where one is given.

        Raises:
            ModelError: If there is none, and no classical default.
        """
        model = self.mapnode.model
        if folder is None and model.needs_weights:
            raise ModelError(
                f"{self.application.title} is disabled: it has no weights and no classical default; "
                f"give the folder of its model ({model.engine})"
            )


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
        return Manifest.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ManifestError(f"{path}: {wrong}") from error
    except (yaml.YAMLError, ValueError) as error:
        # PyYAML lets bytes that are no UTF-8 and dates that are none escape as ValueError.
        raise ManifestError(f"{path}: no YAML: {error}") from error
