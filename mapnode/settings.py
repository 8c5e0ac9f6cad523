"""Settings: mapnode.yaml, checked on load; every setting has a default, so that an empty file is a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from mapnode.app_catalogue import list_apps
from mapnode.database import Place, place_of
from mapnode.errors import NodeError, WrongUse
from mapnode.intake.completeness import Patience
from mapnode.jobs.hours import Hours
from mapnode.pacs.orthanc_configuration import LOOPBACK, check_aet
from mapnode.plain_yaml import PlainDocument, unknown_key
from operators.core.contract import ObjectKind
from operators.core.objects import ObjectsNotMade, wanted_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

    from operators.core.manifest import OutputPart


def _aet(title: str) -> str:
    """An AE title as it is.

    Raises:
        ValueError: If it is none.
    """
    try:
        check_aet(title)
    except NodeError as error:
        raise ValueError(str(error)) from error
    return title


AeTitle = Annotated[str, AfterValidator(_aet)]
"""PS3.5 6.2, AE."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object, info: ValidationInfo) -> object:
        """Keep `yes`, `on` and the like, which YAML reads as true, from passing for the number 1.

        Raises:
            ValueError: If a number is asked for.
        """
        asked = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and asked in {int, float, float | None}:
            raise ValueError(f"has to be a number; what stands there is the truth value {str(value).lower()}")
        return value


class ModalitySettings(_Part):
    """A scanner, workstation or PACS that may talk to the node."""

    aet: AeTitle
    """Its AE title."""
    host: str = Field(min_length=1)
    """Its address; associations from elsewhere are refused."""
    port: int = Field(default=104, ge=1, le=65535)
    """Where it listens, for C-MOVE and for sending to it."""


class OrthancElsewherePart(_Part):
    """An Orthanc in a container of its own, on the node's folder `var`."""

    host: str
    """Where its REST answers, at orthanc.http_port."""
    node: str
    """By which name it finds the node."""
    node_port: int = Field(default=8041, ge=1, le=65535)
    """Where the node listens for it."""


class OrthancPart(_Part):
    """The DICOM node."""

    program: str = "Orthanc"
    aet: AeTitle = "MAPNODE"
    dicom_port: int = Field(default=4242, ge=1, le=65535)
    http_port: int = Field(default=8042, ge=1, le=65535)
    plugin: bool = True
    """Let Orthanc tell of instances as they arrive; without it they are found in its change log, later."""
    modalities: tuple[ModalitySettings, ...] = ()
    elsewhere: OrthancElsewherePart | None = None
    """Where it runs, if something else than the node starts it: docker/compose.yaml does."""

    @property
    def url(self) -> str:
        """Its REST."""
        return f"http://{LOOPBACK if self.elsewhere is None else self.elsewhere.host}:{self.http_port}"


class ImageSettings(_Part):
    """A container image that rules may have run."""

    digest: str = Field(pattern="^sha256:[0-9a-f]{64}$")
    """What it is: its ID (`docker image inspect`), or the digest under which a registry has it."""
    memory: str | None = Field(default=None, pattern=r"^\d+(\.\d+)?(k|Ki|M|Mi|G|Gi)?$")
    """Its memory limit, where its pkg.json asks for too little, or too much."""
    output_mb: float = Field(default=8000.0, gt=0)
    """A run that writes more is stopped."""


class Settings(_Part):
    """All settings of a node."""

    var: Path = Path("var")
    """Everything that the node keeps: Orthanc's storage, databases, jobs, quarantine, logs."""
    database: str | None = None
    """`postgresql://user@host/database?passfile=FILE`, where workers on other machines help; SQLite in `var` else."""
    rules: Path = Path("rules.yaml")
    orthanc: OrthancPart = OrthancPart()
    objects: dict[ObjectKind, bool | str] = Field(default_factory=dict)
    """Which objects apps make, for those that make them: `secondary_capture: true`, `seg: labelmap`."""
    settle_s: float = Field(default=0.5, gt=0)
    """Shortest silence after which a job starts; a slow sender is given longer."""
    publish_quiet_s: float = Field(default=5.0, gt=0)
    """Results go out when nothing came for so long, or at once where somebody states that the series is complete."""
    missing_wait_s: float = Field(default=60.0, gt=0)
    """The same where the source says that it has more instances than came."""
    study_quiet_s: float = Field(default=30.0, gt=0)
    """Results of study rules go out when nothing came for the study for so long."""
    ask_source: bool = True
    """Ask the sender by C-FIND how many instances a series has."""
    max_chain_depth: int = Field(default=3, ge=1)
    """How many rules may lead from one to the next, by way of results."""
    poll_s: float = Field(default=0.5, gt=0)
    """How often Orthanc's change log is read."""
    workers: int = Field(default=1, ge=1)
    """Jobs that run at the same time."""
    gpus: int = Field(default=0, ge=0)
    """Of these, jobs that use a GPU."""
    memory_mb: float | None = Field(default=None, gt=0)
    """What the apps that run may take together, by their manifests; three quarters of the machine's where absent."""
    research_hours: Hours | None = None
    """When jobs of priority research may start: "19:00-06:00"; always where absent."""
    job_timeout_s: float = Field(default=1800.0, gt=0)
    """After this a worker is killed, and its job tried again."""
    timeouts_s: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    """The same for single apps."""
    models: dict[str, Path] = Field(default_factory=dict)
    """Folder of the weights of each app that has some: `ct_leg_tissue: models/legs`; its form decides the engine."""
    references: Path | None = None
    """Folder of the site's reference sets, `APP.json` each; what MAPNODE_REFERENCES names where absent."""
    images: dict[str, ImageSettings] = Field(default_factory=dict)
    """The container images that rules may name with `image:`, by the name that the engine has for them."""
    container_socket: str | None = None
    """Where Docker or Podman listens; DOCKER_HOST where absent, else unix:///var/run/docker.sock."""
    min_free_mb: float = Field(default=2000.0, ge=0)
    """With less room on the disk no study is taken and no job started, until there is room again; a quarter of it is
    kept for results."""
    keep_jobs_days: float = Field(default=30.0, gt=0)
    """Files of ended jobs are kept for so long; what became of them stays in the records."""
    keep_records_days: float = Field(default=1095.0, gt=0)
    """Decisions, and the history of ended jobs, are kept for so long; the jobs and where their results are, always."""
    keep_shadow_days: float = Field(default=90.0, gt=0)
    """A job that waited for somebody for so long, to release it or to switch its app on again, is cancelled."""
    keep_quarantine_days: float = Field(default=365.0, gt=0)
    """What is in quarantine is kept for so long."""

    @field_validator("research_hours", mode="before")
    @classmethod
    def _hours(cls, value: object) -> object:
        """HH:MM-HH:MM as hours."""
        return value if value is None or isinstance(value, Hours) else Hours.parse(str(value))

    @property
    def place(self) -> Place:
        """Where the database is.

        Raises:
            WrongUse: If it cannot be there.
        """
        return place_of(self.var.resolve(), self.database)

    @property
    def patience(self) -> Patience:
        """How long the intake waits for what."""
        return Patience(self.settle_s, self.publish_quiet_s, self.missing_wait_s)


def load_settings(path: Path | None) -> Settings:
    """Read mapnode.yaml; relative paths in it are relative to it.

    Args:
        path: The file; None gives the defaults, relative to the current folder.

    Returns:
        The settings.

    Raises:
        WrongUse: If the file is absent, no YAML, has a wrong key or value, with the line of each and the way out, or
            asks for objects that no app makes.
    """
    if path is None:
        return Settings()
    settings = _checked(PlainDocument(path))
    _require_made(settings.objects, path)
    base = path.resolve().parent
    models = {app: base / folder for app, folder in settings.models.items()}
    _require_models(models, path)
    references = None if settings.references is None else base / settings.references
    if references is not None and not references.is_dir():
        raise WrongUse(f"{path}: references: {references} is no folder")
    return settings.model_copy(
        update={
            "var": base / settings.var,
            "rules": base / settings.rules,
            "models": models,
            "references": references,
        }
    )


def _checked(document: PlainDocument) -> Settings:
    """The settings that a file says.

    Raises:
        WrongUse: If anything is wrong with it.
    """
    settings = Settings()
    if document.data is not None:
        try:
            settings = Settings.model_validate(document.data)
        except ValidationError as error:
            for detail in error.errors():
                # pydantic marks a wrong key of a mapping by one more place.
                document.add(tuple(part for part in detail["loc"] if part != "[key]"), _message(detail))
    if document.problems:
        problems = sorted(document.problems, key=lambda problem: problem.line or 0)
        raise WrongUse("\n".join(problem.sentence for problem in problems))
    return settings


def _message(detail: ErrorDetails) -> str:
    """What is wrong, what was met, and the way out."""
    kind, met, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return unknown_key(str(detail["loc"][-1]), _model_at(detail["loc"]))
    if kind == "missing":
        return "is missing; add it"
    if met is None:
        return "is empty; give it a value, or take the line out"
    rule = MESSAGES.get(kind, "").format(**context) or detail["msg"]
    return f"{rule}; what stands there is {met!r}" if isinstance(met, str | int | float) else rule


_NUMBER = "has to be a number with a point for decimals and no unit"
_WHOLE = "has to be a whole number without a unit"
_MAPPING = "has to be a mapping (key: value)"
MESSAGES = {
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": "has to be a finite number",
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "greater_than": "has to be more than {gt}",
    "greater_than_equal": "has to be at least {ge}",
    "less_than_equal": "has to be at most {le}",
    "bool_parsing": "has to be true or false",
    "bool_type": "has to be true or false",
    "string_type": "has to be text; put it in quotes",
    "string_too_short": "is empty; give it a value",
    "string_pattern_mismatch": "has to have the form {pattern}",
    "path_type": "has to be the path of a file or folder; put it in quotes",
    "tuple_type": "has to be a list, a line `- ` for each",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "invalid_key": "is no text; put it in quotes",
    "enum": "has to be one of {expected}",
}
"""By pydantic's type of error."""

_PARTS: dict[tuple[str, ...], type[BaseModel]] = {
    (): Settings,
    ("orthanc",): OrthancPart,
    ("orthanc", "modalities"): ModalitySettings,
    ("orthanc", "elsewhere"): OrthancElsewherePart,
}
"""By the keys that lead there; those of an image's name lead to ImageSettings."""


def _model_at(place: tuple[str | int, ...]) -> type[BaseModel]:
    """The model whose key a place is."""
    return _PARTS.get(tuple(part for part in place[:-1] if isinstance(part, str)), ImageSettings)


def _require_models(models: Mapping[str, Path], path: Path) -> None:
    """Models are for apps that there are, and are there.

    Raises:
        WrongUse: If not.
    """
    if not models:
        return
    try:
        names = [app.name for app in list_apps(models)]
    except WrongUse as error:
        raise WrongUse(f"{path}: models: {error}") from error
    unknown = sorted(models.keys() - set(names))
    if unknown:
        raise WrongUse(f"{path}: models: there is no app {', '.join(unknown)}; there are: {', '.join(names)}")


def _require_made(objects: Mapping[ObjectKind, bool | str], path: Path) -> None:
    """Objects are asked for that some app makes, in a form that some app has, and that each app can make together.

    Raises:
        WrongUse: If not, with the key and what which app makes.
    """
    if not objects:
        return
    apps = {app.name: app.manifest.mapnode.outputs for app in list_apps()}
    for kind, choice in objects.items():
        parts = {name: part for name, made in apps.items() for part in made if part.kind == kind}
        if not parts:
            raise WrongUse(f"{path}: objects.{kind}: no app makes it; {_all_made(apps)}")
        if isinstance(choice, str) and not any(choice in part.forms for part in parts.values()):
            forms = "; ".join(
                f"{name} makes it as {' or '.join(p.forms) or 'true or false'}" for name, p in parts.items()
            )
            raise WrongUse(f"{path}: objects.{kind}: no app makes it as {choice}: {forms}")
    for name, made in apps.items():
        kinds = {part.kind for part in made}
        try:
            wanted_objects(made, {kind: choice for kind, choice in objects.items() if kind in kinds})
        except ObjectsNotMade as error:
            raise WrongUse(f"{path}: objects: {name}: {error}") from error


def _all_made(apps: Mapping[str, Iterable[OutputPart]]) -> str:
    return "; ".join(f"{name} makes {', '.join(part.kind for part in made)}" for name, made in apps.items())
