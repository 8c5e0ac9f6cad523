"""Settings: mapnode.yaml, checked on load; every setting has a default, so that an empty file is a node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mapnode.errors import WrongUse
from operators.core.contract import ObjectKind


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModalitySettings(_Part):
    """A scanner, workstation or PACS that may talk to the node."""

    aet: str = Field(min_length=1, max_length=16)
    """Its AE title (PS3.5 6.2, AE)."""
    host: str
    """Its address; associations from elsewhere are refused."""
    port: int = Field(default=104, ge=1, le=65535)
    """Where it listens, for C-MOVE and for sending to it."""


class OrthancPart(_Part):
    """The DICOM node."""

    program: str = "Orthanc"
    aet: str = Field(default="MAPNODE", min_length=1, max_length=16)
    dicom_port: int = Field(default=4242, ge=1, le=65535)
    http_port: int = Field(default=8042, ge=1, le=65535)
    plugin: bool = True
    """Let Orthanc tell of instances as they arrive; without it they are found in its change log, later."""
    modalities: tuple[ModalitySettings, ...] = ()


class Settings(_Part):
    """All settings of a node."""

    var: Path = Path("var")
    """Everything that the node keeps: Orthanc's storage, databases, jobs, quarantine, logs."""
    rules: Path = Path("rules.yaml")
    orthanc: OrthancPart = OrthancPart()
    objects: dict[ObjectKind, bool | str] = Field(default_factory=dict)
    """Which objects apps make, for those that make them: `secondary_capture: true`, `seg: labelmap`."""
    settle_s: float = Field(default=2.0, gt=0)
    """A series counts as complete when nothing arrived for it for so long."""
    poll_s: float = Field(default=0.5, gt=0)
    """How often Orthanc's change log is read."""
    workers: int = Field(default=1, ge=1)
    """Jobs that run at the same time."""
    job_timeout_s: float = Field(default=1800.0, gt=0)
    """After this a worker is killed, and its job tried again."""


def load_settings(path: Path | None) -> Settings:
    """Read mapnode.yaml; relative paths in it are relative to it.

    Args:
        path: The file; None gives the defaults, relative to the current folder.

    Returns:
        The settings.

    Raises:
        WrongUse: If the file is absent, no YAML, or has a wrong key or value, naming it.
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
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise WrongUse(f"{path}: {wrong}") from error
    base = path.resolve().parent
    return settings.model_copy(update={"var": base / settings.var, "rules": base / settings.rules})
