"""Manifests: app.json and pkg.json of a MAP (MAP specification 1.0.0), those of holoscan-cli 4.2.0 among them.

The models are the specification as far as it says MUST, and what it says of a value that is there. map-build/ holds the
JSON Schemas that they give; a test keeps both the same. Fields that nobody knows are let be.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from mapnode.errors import NodeError
from operators.core.exit_code import ExitCode

SEMANTIC_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
Version = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    BeforeValidator(lambda given: str(given) if isinstance(given, int | float) else given, str | float),
]
"""The specification asks for a semantic version. The last packager copies what app.yaml has: `version: 1.0`, as the
SDK's own examples say, is a number."""
AbsolutePath = Annotated[str, StringConstraints(pattern="^/")]
MemorySize = Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(Mi|Gi|MiB|GiB)$")]
MODEL_NAME, LONGEST_MODEL_NAME = r"^\S+$", 128
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME, max_length=LONGEST_MODEL_NAME)]
Format = dict[str, Any] | str
"""The specification calls it an object and gives words, such as `file`, as examples of it."""


class ManifestInvalid(NodeError):
    """An app.json or pkg.json is not what the specification says."""

    exit_code = ExitCode.REFUSED


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:  # noqa: ANN401 - JSON
        """What says nothing is not there: the last packager writes null, also for an empty key of app.yaml."""
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None}

    def to_json(self) -> str:
        """The document as it lies in a MAP."""
        return self.model_dump_json(by_alias=True, exclude_none=True, indent=2) + "\n"


class Probe(_Part):
    """How a host sees whether the application is ready, or alive."""

    type: Literal["tcp", "grpc", "http-get", "command"]
    command: tuple[str, ...] | None = None
    port: int | None = Field(default=None, ge=1, le=65535)
    path: AbsolutePath | None = None
    initial_delay_seconds: int = Field(default=1, ge=0)
    period_seconds: int = Field(default=10, ge=1)
    timeout_seconds: int = Field(default=1, ge=1)
    failure_threshold: int = Field(default=3, ge=1)

    @model_validator(mode="after")
    def _require_what_the_type_needs(self) -> Self:
        if self.type == "command" and not self.command:
            raise ValueError("a probe of type command needs a command")
        if self.type != "command" and self.port is None:
            raise ValueError(f"a probe of type {self.type} needs a port")
        if self.type == "http-get" and self.path is None:
            raise ValueError("a probe of type http-get needs a path")
        return self


class Input(_Part):
    """Where the application reads, and what."""

    path: str = "input/"
    formats: tuple[Format, ...] | None = None
    """Required by the specification; the last packager wrote null where nobody said anything."""


class Output(_Part):
    """Where the application writes, and what."""

    path: str = "output/"
    format: Format | None = None
    formats: tuple[Format, ...] | None = None
    """What the last packager wrote in place of `format`."""


class AppManifest(_Part):
    """app.json: how the application is run."""

    api_version: Version = "0.0.0"
    command: str | tuple[str, ...]
    """A shell command. The last packager wrote a JSON array of words inside the string."""
    environment: dict[str, str] = Field(default_factory=dict)
    input: Input
    output: Output
    readiness: Probe | None = None
    liveness: Probe | None = None
    sdk: str | None = None
    sdk_version: Version | None = None
    timeout: int = Field(default=0, ge=0)
    """Seconds; 0 for none."""
    version: Version = "0.0.0"
    working_directory: AbsolutePath = "/var/holoscan/"
    type: Literal["application", "service"] | None = None
    """Required by the specification; the last packager did not write it."""

    @property
    def argv(self) -> list[str]:
        """The command's words."""
        if not isinstance(self.command, str):
            return list(self.command)
        if self.command.lstrip().startswith("["):
            return [str(word) for word in json.loads(self.command)]
        return shlex.split(self.command)

    @model_validator(mode="after")
    def _require_words(self) -> Self:
        try:
            words = self.argv
        except ValueError as error:
            raise ValueError(f"the command is neither a shell command nor a JSON array: {error}") from error
        if not words:
            raise ValueError("the command is empty")
        return self


class PackagedModel(_Part):
    """A model inside a MAP."""

    name: ModelName
    path: str | None = None
    """Relative to the model root; the name where it is not given."""


class Resources(_Part):
    """What a run needs; the defaults are the specification's."""

    cpu: float = Field(default=1, ge=0)
    cpu_limit: float | None = Field(default=None, ge=0)
    gpu: float = Field(default=0, ge=0)
    gpu_limit: float | None = Field(default=None, ge=0)
    memory: MemorySize = "1Gi"
    memory_limit: MemorySize | None = None
    gpu_memory: MemorySize | None = None
    gpu_memory_limit: MemorySize | None = None
    shared_memory: MemorySize = "64Mi"


class PackageManifest(_Part):
    """pkg.json: what lies where in the image, and what a run needs."""

    api_version: Version = "0.0.0"
    application_root: AbsolutePath
    model_root: AbsolutePath = "/opt/holoscan/models/"
    models: tuple[PackagedModel, ...] | dict[ModelName, str] = ()
    """A list of names and paths; the last packager wrote an object of paths by name."""
    resources: Resources = Resources()
    version: Version = "0.0.0"
    platform_config: str | None = None

    @property
    def model_paths(self) -> dict[str, str]:
        """Absolute path of each model by its name."""
        named = (
            self.models
            if isinstance(self.models, dict)
            else {model.name: model.path or model.name for model in self.models}
        )
        root = self.model_root.rstrip("/")
        return {name: path if path.startswith("/") else f"{root}/{path}" for name, path in named.items()}


def read_app_manifest(text: str | bytes) -> AppManifest:
    """An app.json.

    Args:
        text: The document.

    Returns:
        What it says.

    Raises:
        ManifestInvalid: If it is no JSON or not what the specification says, naming each field.
    """
    return _read(AppManifest, text, "app.json")


def read_package_manifest(text: str | bytes) -> PackageManifest:
    """A pkg.json.

    Args:
        text: The document.

    Returns:
        What it says.

    Raises:
        ManifestInvalid: If it is no JSON or not what the specification says, naming each field.
    """
    return _read(PackageManifest, text, "pkg.json")


def deviations(app: AppManifest, package: PackageManifest) -> list[str]:
    """Where manifests that can be read leave the specification's words: a warning each, no refusal."""
    found = []
    if app.type is None:
        found.append("app.json has no type; the specification requires application or service")
    if not isinstance(app.command, str) or app.command.lstrip().startswith("["):
        found.append("app.json's command is an array; the specification asks for a shell command")
    if app.input.formats is None:
        found.append("app.json has no input.formats, which the specification requires")
    if app.output.format is None:
        found.append("app.json has no output.format, which the specification requires")
    if isinstance(package.models, dict):
        found.append("pkg.json's models are an object; the specification asks for a list of name and path")
    if not SEMANTIC_VERSION.fullmatch(app.version):
        found.append(
            f"app.json's version {app.version} is no semantic version (1.0.0), which the specification requires"
        )
    if app.version != package.version:
        found.append(f"app.json is version {app.version}, pkg.json {package.version}")
    return found


_Kind = TypeVar("_Kind", bound=_Part)


def _read(kind: type[_Kind], text: str | bytes, name: str) -> _Kind:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise ManifestInvalid(f"{name}: {wrong}") from error
