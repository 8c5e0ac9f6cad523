"""Resources: what Orthanc answers about itself, its index and its files, typed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Resource(BaseModel):
    """What all of Orthanc's answers share: read by its names or ours, never changed."""

    model_config = ConfigDict(frozen=True, validate_by_name=True, validate_by_alias=True)


def _texts(tags: object) -> object:
    """Orthanc 1.12 gives sequences among the main tags, such as Request Attributes; here only text is asked for."""
    return {k: v for k, v in tags.items() if isinstance(v, str)} if isinstance(tags, dict) else tags


Tags = Annotated[dict[str, str], BeforeValidator(_texts)]
"""Main DICOM tags by keyword."""


def seconds(date: str) -> float:
    """One of Orthanc's dates, 20250102T101500, UTC, as seconds since 1970; 0 where there is none."""
    try:
        return datetime.strptime(date, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0


class SystemInformation(Resource):
    """What Orthanc says of itself."""

    version: str = Field(validation_alias="Version")
    name: str = Field(validation_alias="Name")
    aet: str = Field(validation_alias="DicomAet")
    dicom_port: int = Field(validation_alias="DicomPort")
    http_port: int = Field(validation_alias="HttpPort")


class Change(Resource):
    """One line of Orthanc's change log."""

    seq: int = Field(validation_alias="Seq")
    type: str = Field(validation_alias="ChangeType")
    """NewInstance, NewSeries, StableStudy, ..."""
    resource_id: str = Field(validation_alias="ID")
    path: str = Field(validation_alias="Path")
    level: str = Field(validation_alias="ResourceType")
    """Patient, Study, Series or Instance."""
    date: str = Field(validation_alias="Date")
    """When, to the second, as Orthanc writes it."""


class ChangePage(NamedTuple):
    """A piece of the change log."""

    changes: list[Change]
    last: int
    """Sequence number of the last change here; where there is none, of the newest that the log ever had."""
    done: bool
    """No more changes after these."""


class Instance(Resource):
    """An instance, as Orthanc's index knows it."""

    id: str = Field(validation_alias="ID")
    series_id: str = Field(validation_alias="ParentSeries")
    file_size: int = Field(validation_alias="FileSize")
    file_uuid: str = Field("", validation_alias="FileUuid")
    """Of the file in the storage area; another content gets another one."""
    tags: Tags = Field(validation_alias="MainDicomTags")
    """Orthanc's main DICOM tags of this level, by keyword."""

    @property
    def sop_instance_uid(self) -> str:
        """SOP Instance UID (0008,0018)."""
        return self.tags["SOPInstanceUID"]


class Series(Resource):
    """A series, as Orthanc's index knows it."""

    id: str = Field(validation_alias="ID")
    study_id: str = Field(validation_alias="ParentStudy")
    instance_ids: tuple[str, ...] = Field(validation_alias="Instances")
    tags: Tags = Field(validation_alias="MainDicomTags")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return self.tags["SeriesInstanceUID"]


class Study(Resource):
    """A study with its patient, as Orthanc's index knows them."""

    id: str = Field(validation_alias="ID")
    patient_id: str = Field(validation_alias="ParentPatient")
    """Orthanc's identifier of the patient, not Patient ID (0010,0020)."""
    series_ids: tuple[str, ...] = Field(validation_alias="Series")
    tags: Tags = Field(validation_alias="MainDicomTags")
    patient_tags: Tags = Field(validation_alias="PatientMainDicomTags")

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return self.tags["StudyInstanceUID"]


class InstanceMetadata(Resource):
    """How an instance came."""

    remote_aet: str = Field("", validation_alias="RemoteAET")
    """Calling AE title; empty unless it came by C-STORE."""
    called_aet: str = Field("", validation_alias="CalledAET")
    remote_ip: str = Field("", validation_alias="RemoteIP")
    origin: str = Field("", validation_alias="Origin")
    """DicomProtocol, RestApi, Plugins (DICOMweb), ..."""
    reception_date: str = Field("", validation_alias="ReceptionDate")
    """UTC, to the second."""
    transfer_syntax_uid: str = Field("", validation_alias="TransferSyntax")
    sop_class_uid: str = Field("", validation_alias="SopClassUid")

    @property
    def received_at(self) -> float:
        """The reception date as seconds since 1970, UTC; 0 where Orthanc has none."""
        return seconds(self.reception_date)


class Attachment(Resource):
    """The file behind an instance."""

    uuid: str = Field(validation_alias="Uuid", pattern=_UUID.pattern)
    size: int = Field(validation_alias="UncompressedSize")
    stored_size: int = Field(validation_alias="CompressedSize")
    md5: str = Field("", validation_alias="UncompressedMD5")
    """Of the DICOM file."""
    stored_md5: str = Field("", validation_alias="CompressedMD5")
    """Of the file in the storage area; the same where it is not compressed."""

    @property
    def is_compressed(self) -> bool:
        """Whether the file in the storage area is not the DICOM file."""
        return (self.size, self.md5) != (self.stored_size, self.stored_md5)

    def path(self, storage_root: Path) -> Path:
        """Where the storage area keeps it."""
        return attachment_path(self.uuid, storage_root)


def attachment_path(file_uuid: str, storage_root: Path) -> Path:
    """Where the storage area keeps a file.

    Args:
        file_uuid: Its UUID, `file_uuid` of an event.
        storage_root: Orthanc's storage area.

    Returns:
        STORAGE/aa/bb/UUID.
    """
    return storage_root / file_uuid[:2] / file_uuid[2:4] / file_uuid


class FoundResource(Resource):
    """Where a DICOM UID is in Orthanc."""

    id: str = Field(validation_alias="ID")
    type: str = Field(validation_alias="Type")
    """Patient, Study, Series or Instance."""
    path: str = Field(validation_alias="Path")


class StoreStatus(StrEnum):
    """What became of an object that was stored."""

    SUCCESS = "Success"
    """It is new."""
    ALREADY_STORED = "AlreadyStored"
    """There is one of that SOP Instance UID already, and it stays: compare the digests."""


class StoreOutcome(Resource):
    """Answer to a store."""

    id: str = Field(validation_alias="ID")
    status: StoreStatus = Field(validation_alias="Status")


class Statistics(Resource):
    """How much Orthanc holds."""

    patients: int = Field(validation_alias="CountPatients")
    studies: int = Field(validation_alias="CountStudies")
    series: int = Field(validation_alias="CountSeries")
    instances: int = Field(validation_alias="CountInstances")
    disk_bytes: int = Field(validation_alias="TotalDiskSize")


class ChangeAnswer(Resource):
    """Orthanc's answer about its change log."""

    changes: list[Change] = Field(validation_alias="Changes")
    last: int = Field(validation_alias="Last")
    done: bool = Field(validation_alias="Done")
