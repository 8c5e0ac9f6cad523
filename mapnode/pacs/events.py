"""Events: what orthanc/plugin.py tells the node; the other end of the same JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TOKEN_HEADER = "X-Mapnode-Token"  # noqa: S105 - a header's name
"""Carries the secret that the node gave its plugin."""

_Identifier = Annotated[str, Field(min_length=1, max_length=64)]


class _Event(BaseModel):
    # Unknown fields are no error: a node may be older than the plugin that talks to it.
    model_config = ConfigDict(frozen=True)


class InstanceEvent(_Event):
    """Orthanc has a new instance."""

    kind: Literal["instance"] = "instance"
    id: _Identifier
    """Orthanc's identifier of the instance."""
    at: float
    """When the plugin heard of it, seconds since 1970, UTC."""


class ConflictEvent(_Event):
    """An instance came again under a known SOP Instance UID with other pixels; the first one stays."""

    kind: Literal["conflict"] = "conflict"
    id: _Identifier
    """Orthanc's identifier of the instance that stays."""
    at: float
    """When it came, seconds since 1970, UTC."""
    sop_instance_uid: str = Field(max_length=64)
    calling_aet: str = Field("", max_length=64)
    """Who sent it; empty when it came over REST or DICOMweb."""
    origin: str = Field("", max_length=32)
    """dicom, rest, plugin, or another of Orthanc's origins."""


class EventBatch(_Event):
    """What gathered in a moment."""

    events: list[Annotated[InstanceEvent | ConflictEvent, Field(discriminator="kind")]] = Field(max_length=20_000)
    dropped: int = Field(0, ge=0)
    """Instances since the last batch that are not told one by one: read the change log."""
    unchecked: int = Field(0, ge=0)
    """Instances that came again and were not compared with what is stored, because there was no room or no way."""

    @property
    def instance_ids(self) -> list[str]:
        """The new instances."""
        return [event.id for event in self.events if isinstance(event, InstanceEvent)]

    @property
    def conflicts(self) -> list[ConflictEvent]:
        """The instances that came again with other pixels."""
        return [event for event in self.events if isinstance(event, ConflictEvent)]

    @property
    def tells_of_instances(self) -> bool:
        """Whether the change log is worth reading now."""
        return self.dropped > 0 or bool(self.instance_ids)
