"""Spec: what a job is about, and the identity that keeps the same input from running twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

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
    series_id: str
    """Orthanc's identifier of the series."""
    study_instance_uid: str
    series_instance_uid: str


def job_id(spec: JobSpec, instances: Iterable[tuple[str, str]]) -> str:
    """Identifier of the job: a SHA-256 over app, version, parameters and the input.

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
    }
    return digest_of(content)[:32]
