"""Settings: mapnode.yaml, checked on load; every setting has a default, so that an empty file is a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mapnode.app_catalogue import list_apps
from mapnode.database import Place, place_of
from mapnode.errors import WrongUse
from mapnode.intake.completeness import Patience
from mapnode.jobs.hours import Hours
from mapnode.pacs.orthanc_configuration import LOOPBACK
from operators.core.contract import ObjectKind
from operators.core.objects import ObjectsNotMade, wanted_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operators.core.manifest import OutputPart


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class ModalitySettings(_Part):
    """A scanner, workstation or PACS that may talk to the node."""

    aet: str = Field(min_length=1, max_length=16)
    """Its AE title (PS3.5 6.2, AE)."""
    host: str
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
    aet: str = Field(default="MAPNODE", min_length=1, max_length=16)
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
    timeouts_s: dict[str, float] = Field(default_factory=dict)
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
        return Hours.parse(value) if isinstance(value, str) else value

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
        WrongUse: If the file is absent, no YAML, has a wrong key or value, or asks for objects that no app makes,
            naming it.
    """
    if path is None:
        return Settings()
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = Settings.model_validate({} if document is None else document)
    except OSError as error:
        raise WrongUse(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WrongUse(f"{path}: no YAML: {error}") from error
    except ValidationError as error:
        # pydantic marks a wrong key by one more place.
        wrong = "; ".join(f"{'.'.join(str(p) for p in e['loc'] if p != '[key]')}: {e['msg']}" for e in error.errors())
        raise WrongUse(f"{path}: {wrong}") from error
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
