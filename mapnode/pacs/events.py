"""Events: what orthanc/plugin.py tells the node; the other end of the same JSON."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

TOKEN_HEADER = "X-Mapnode-Token"  # noqa: S105 - a header's name
"""Carries the secret that the node gave its plugin."""

_Identifier = Annotated[str, Field(min_length=1, max_length=64)]
_Uid = Annotated[str, Field(max_length=128)]
_AeTitle = Annotated[str, Field(max_length=64)]
_ORIGINS = {"DicomProtocol": "dicom", "RestApi": "rest", "Plugins": "plugin", "Lua": "lua", "WebDav": "web_dav"}
"""Orthanc's metadata `Origin`; DICOMweb is a plugin."""


def _short_origin(name: object) -> object:
    return _ORIGINS.get(name, name) if isinstance(name, str) else name


_Origin = Annotated[str, Field(max_length=32), BeforeValidator(_short_origin)]
"""dicom, rest, plugin, or another of Orthanc's origins."""


class _Event(BaseModel):
    # Unknown fields are no error: a node may be older than the plugin that talks to it.
    model_config = ConfigDict(frozen=True)


class InstanceEvent(_Event):
    """Orthanc has a new instance. What the plugin could not find out is empty."""

    kind: Literal["instance"] = "instance"
    id: _Identifier
    """Orthanc's identifier of the instance."""
    at: float
    """When it came, seconds since 1970, UTC."""
    series_id: str = Field("", max_length=64)
    """Orthanc's identifier of its series."""
    sop_instance_uid: _Uid = ""
    file_uuid: str = Field("", max_length=64)
    """Its file in the storage area (`attachment_path`); empty where that is not the DICOM file itself."""
    md5: str = Field("", max_length=64)
    """Of the DICOM file."""
    calling_aet: _AeTitle = ""
    """Who sent it; empty when it came over REST or DICOMweb."""
    called_aet: _AeTitle = ""
    origin: _Origin = ""


class ConflictEvent(_Event):
    """An instance came again under a known SOP Instance UID with other pixels; the first one stays."""

    kind: Literal["conflict"] = "conflict"
    id: _Identifier
    """Orthanc's identifier of the instance that stays."""
    at: float
    """When it came, seconds since 1970, UTC."""
    sop_instance_uid: _Uid
    calling_aet: _AeTitle = ""
    """Who sent it; empty when it came over REST or DICOMweb."""
    origin: _Origin = ""


Level = Literal["patient", "study", "series", "instance"]


class DeletedEvent(_Event):
    """Something was deleted; of a study that goes, its series and instances are told as well.

    Orthanc's change log does not know deletions.
    """

    kind: Literal["deleted"] = "deleted"
    id: _Identifier
    """Orthanc's identifier of what is gone."""
    at: float
    """When, seconds since 1970, UTC."""
    level: Level


class ChangedEvent(_Event):
    """Metadata or an attachment of something stored was replaced."""

    kind: Literal["changed"] = "changed"
    id: _Identifier
    """Orthanc's identifier of what it belongs to."""
    at: float
    """When, seconds since 1970, UTC."""
    level: Level
    what: Literal["metadata", "attachment"]


class CommitmentEvent(_Event):
    """A sender asked whether the node keeps what it sent (storage commitment, PS3.4 J): it is done with sending that.

    Orthanc answers the sender by itself. It does not tell of which instances it was asked.
    """

    kind: Literal["commitment"] = "commitment"
    id: _Identifier
    """Orthanc's identifier of its job."""
    at: float
    """When, seconds since 1970, UTC."""
    calling_aet: _AeTitle
    called_aet: _AeTitle = ""
    transaction_uid: _Uid = ""
    """Transaction UID (0008,1195)."""


class StartedEvent(_Event):
    """Orthanc has started: of its gate it knows what the disk says alone."""

    kind: Literal["started"] = "started"
    at: float
    """When, seconds since 1970, UTC."""


_AnyEvent = InstanceEvent | ConflictEvent | DeletedEvent | ChangedEvent | CommitmentEvent | StartedEvent
_Kind = TypeVar("_Kind", bound=_Event)


class EventBatch(_Event):
    """What gathered in a moment."""

    events: list[Annotated[_AnyEvent, Field(discriminator="kind")]] = Field(max_length=20_000)
    dropped: int = Field(0, ge=0)
    """Instances and changes since the last batch that are not told one by one: read the change log."""
    unchecked: int = Field(0, ge=0)
    """Instances that came again and were not compared with what is stored, because there was no room or no way."""
    lost: int = Field(0, ge=0)
    """Events since the last batch that are not told and stand in no log: look at what is stored."""

    def of(self, kind: type[_Kind]) -> list[_Kind]:
        """The events of a kind, in their order."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def instance_ids(self) -> list[str]:
        """Orthanc's identifiers of the new instances."""
        return [event.id for event in self.of(InstanceEvent)]

    @property
    def conflicts(self) -> list[ConflictEvent]:
        """The instances that came again with other pixels."""
        return self.of(ConflictEvent)
