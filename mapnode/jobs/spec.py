"""Spec: what a job is about, and the identity that keeps the same input from running twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from operators.core.contract import ObjectKind
from operators.core.identity import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class JobSpec(BaseModel):
    """What a job is about: the argument of its workflow, stored with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    app: str
    app_version: str
    parameters: dict[str, Any]
    objects: dict[ObjectKind, bool | str] = Field(default_factory=dict)
    series_id: str
    """Orthanc's identifier of the series."""
    study_instance_uid: str
    series_instance_uid: str


def job_id(spec: JobSpec, instances: Iterable[tuple[str, str]]) -> str:
    """Identifier of the job: a SHA-256 over app, version, parameters, chosen objects and the input.

    Args:
        spec: What the job is about.
        instances: SOP Instance UID and digest of the file of each instance, in any order.

    Returns:
        The first 32 of 64 hexadecimal digits: the same input, app and parameters give the same job.
    """
    content = {
        "app": spec.app,
        "version": spec.app_version,
        "parameters": spec.parameters,
        "input": sorted(map(list, instances)),
        **({"objects": spec.objects} if spec.objects else {}),
    }
    return digest_of(content)[:32]
