"""Spec: what a job is about, and the identity that keeps the same input from running twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from mapnode.rules.schema import Mode
from operators.core.contract import ObjectKind
from operators.core.identity import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

IDENTIFIER_LENGTH = 32


class JobSpec(BaseModel):
    """What a job is about: the argument of its workflow, stored with it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    app: str
    app_version: str
    model_digest: str = ""
    """SHA-256 of the app's weights; empty where it has none."""
    image: str = ""
    """What the container image is pinned to; empty of an app that is none."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    objects: dict[ObjectKind, bool | str] = Field(default_factory=dict)
    reference: str | None = None
    """SHA-256 of the site's reference set for the app, where there is one."""
    mode: Mode = "live"
    subject: str
    """Orthanc's identifier of the series or study."""
    series_ids: tuple[str, ...]
    """Orthanc's identifiers of the series that the app gets."""
    study_instance_uid: str
    series_instance_uid: str
    """Of the series; of a study rule, of the first series that it names."""
    identity: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 that the results' UIDs derive from."""
    attempt: int = 0
    """How often the same input was run before, on demand or because its results were taken back."""
    predecessor: str | None = None
    """Identity of the result that this one supersedes."""
    replaces: tuple[str, ...] = ()
    """Jobs whose results are rejected when this one's are published."""
    chain: tuple[str, ...] = ()
    """Rules that led here, the first one first, where the input was made by the node itself; this rule is the last."""

    @property
    def job_id(self) -> str:
        """Identifier of the job: the beginning of its identity."""
        return self.identity[:IDENTIFIER_LENGTH]


def identity_of(spec: JobSpec, instances: Iterable[tuple[str, str]]) -> str:
    """The identity that a job has with an input, as in input_identity."""
    return input_identity(
        spec.app,
        spec.app_version,
        spec.parameters,
        spec.objects,
        instances,
        attempt=spec.attempt,
        model_digest=spec.model_digest,
        image=spec.image,
        reference=spec.reference,
    )


def input_identity(
    app: str,
    version: str,
    parameters: dict[str, Any],
    objects: dict[ObjectKind, bool | str],
    instances: Iterable[tuple[str, str]],
    attempt: int = 0,
    model_digest: str = "",
    image: str = "",
    reference: str | None = None,
) -> str:
    """SHA-256 over all that a job's result depends on: the same input, app and parameters give the same job.

    Args:
        app: Name of the app.
        version: Its version.
        parameters: What the rule hands to it.
        objects: What is wanted of what it makes.
        instances: SOP Instance UID and digest of the file of each instance, in any order.
        attempt: How often the same was run before.
        model_digest: SHA-256 of the app's weights; empty where it has none.
        image: What the container image is pinned to, where it is one.
        reference: SHA-256 of the site's reference set for the app, where there is one.
    """
    return digest_of({
        "app": app,
        "version": version,
        "parameters": parameters,
        "input": sorted(map(list, instances)),
        **({"objects": objects} if objects else {}),
        **({"attempt": attempt} if attempt else {}),
        **({"model": model_digest} if model_digest else {}),
        **({"image": image} if image else {}),
        **({"reference": reference} if reference else {}),
    })
