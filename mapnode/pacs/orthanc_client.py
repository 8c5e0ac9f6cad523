"""Orthanc client: the part of Orthanc's REST that the node uses, typed, with foreign errors mapped at this one border.

Why not pyorthanc: it answers dictionaries, has one time limit for everything, and raises httpx's errors.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from mapnode.pacs.errors import (
    CompressedAttachment,
    IntakeClosed,
    NotAuthorised,
    NotFound,
    OrthancRefused,
    OrthancUnreachable,
    UnexpectedAnswer,
)
from mapnode.pacs.events import TOKEN_HEADER, InstanceEvent

if TYPE_CHECKING:
    from types import TracebackType

TIMEOUT = httpx.Timeout(connect=2.0, read=30.0, write=30.0, pool=5.0)
"""Seconds to connect, between two pieces of an answer, between two pieces of a request, for a free connection."""
KEEPALIVE_S = 0.5
"""Orthanc closes idle connections after 1 s; one that may be closing is not used again."""

FORBIDDEN = 403
"""What Orthanc answers where its plugin's filter says no; wrong credentials get 401."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_Answer = TypeVar("_Answer")


class _Resource(BaseModel):
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


class SystemInformation(_Resource):
    """What Orthanc says of itself."""

    version: str = Field(validation_alias="Version")
    name: str = Field(validation_alias="Name")
    aet: str = Field(validation_alias="DicomAet")
    dicom_port: int = Field(validation_alias="DicomPort")
    http_port: int = Field(validation_alias="HttpPort")


class Change(_Resource):
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


class Instance(_Resource):
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


class Series(_Resource):
    """A series, as Orthanc's index knows it."""

    id: str = Field(validation_alias="ID")
    study_id: str = Field(validation_alias="ParentStudy")
    instance_ids: tuple[str, ...] = Field(validation_alias="Instances")
    tags: Tags = Field(validation_alias="MainDicomTags")

    @property
    def series_instance_uid(self) -> str:
        """Series Instance UID (0020,000E)."""
        return self.tags["SeriesInstanceUID"]


class Study(_Resource):
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


class InstanceMetadata(_Resource):
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


class Attachment(_Resource):
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


class FoundResource(_Resource):
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


class StoreOutcome(_Resource):
    """Answer to a store."""

    id: str = Field(validation_alias="ID")
    status: StoreStatus = Field(validation_alias="Status")


class Statistics(_Resource):
    """How much Orthanc holds."""

    patients: int = Field(validation_alias="CountPatients")
    studies: int = Field(validation_alias="CountStudies")
    series: int = Field(validation_alias="CountSeries")
    instances: int = Field(validation_alias="CountInstances")
    disk_bytes: int = Field(validation_alias="TotalDiskSize")


class _ChangeAnswer(_Resource):
    changes: list[Change] = Field(validation_alias="Changes")
    last: int = Field(validation_alias="Last")
    done: bool = Field(validation_alias="Done")


class OrthancClient:
    """Orthanc's REST, for one user. May be used by several threads.

    Args:
        url: Where Orthanc is, http://host:port.
        user: User name.
        password: Password.
        token: The plugin's, so that what this client stores counts as the node's own (mapnode/pacs/gate.py).
        transport: Stands in for the network in tests.
    """

    def __init__(
        self, url: str, user: str, password: str, *, token: str = "", transport: httpx.BaseTransport | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            auth=(user, password),
            headers={TOKEN_HEADER: token} if token else {},
            timeout=TIMEOUT,
            limits=httpx.Limits(keepalive_expiry=KEEPALIVE_S),
            transport=transport,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def system(self) -> SystemInformation:
        """What Orthanc says of itself."""
        return self._get("/system", SystemInformation)

    def statistics(self) -> Statistics:
        """How much Orthanc holds."""
        return self._get("/statistics", Statistics)

    def changes(self, since: int, limit: int = 500) -> ChangePage:
        """A piece of the change log.

        Args:
            since: Changes after this sequence number.
            limit: At most so many.

        Returns:
            The changes in order, the last sequence number, and whether that was all.
        """
        answer = self._get(f"/changes?since={since}&limit={limit}", _ChangeAnswer)
        return ChangePage(answer.changes, answer.last, answer.done)

    def instance(self, instance_id: str) -> Instance:
        """An instance: its main tags and its series."""
        return self._get(f"/instances/{_part(instance_id)}", Instance)

    def instance_metadata(self, instance_id: str) -> InstanceMetadata:
        """How an instance came: from whom, when, by what way."""
        return self._get(f"/instances/{_part(instance_id)}/metadata?expand", InstanceMetadata)

    def instance_file(self, instance_id: str) -> bytes:
        """The DICOM file."""
        return self._request("GET", f"/instances/{_part(instance_id)}/file").content

    def attachment(self, instance_id: str) -> Attachment:
        """The file behind an instance: where, how large, its digest."""
        return self._get(f"/instances/{_part(instance_id)}/attachments/dicom/info", Attachment)

    def attachment_path(self, instance_id: str, storage_root: Path) -> Path:
        """Where the storage area keeps an instance's file, for a hard link or a copy.

        Args:
            instance_id: Orthanc's identifier.
            storage_root: Orthanc's storage area.

        Returns:
            The path of STORAGE/aa/bb/UUID; whether this process can reach it, the caller finds out.

        Raises:
            CompressedAttachment: If the file there is not the DICOM file.
        """
        attachment = self.attachment(instance_id)
        if attachment.is_compressed:
            raise CompressedAttachment(instance_id)
        return attachment.path(storage_root)

    def arrival(self, instance_id: str) -> InstanceEvent:
        """An instance as the plugin tells of it, in three questions: for instances found in the change log.

        Args:
            instance_id: Orthanc's identifier.

        Returns:
            The event; its time is the reception date, to the second.
        """
        instance, metadata = self.instance(instance_id), self.instance_metadata(instance_id)
        attachment = self.attachment(instance_id)
        return InstanceEvent(
            id=instance_id,
            at=metadata.received_at,
            series_id=instance.series_id,
            sop_instance_uid=instance.sop_instance_uid,
            file_uuid="" if attachment.is_compressed else attachment.uuid,
            md5=attachment.md5,
            calling_aet=metadata.remote_aet,
            called_aet=metadata.called_aet,
            origin=metadata.origin,
        )

    def series(self, series_id: str) -> Series:
        """A series: its main tags, instances and study."""
        return self._get(f"/series/{_part(series_id)}", Series)

    def series_instances(self, series_id: str) -> list[Instance]:
        """All instances of a series, in one question."""
        return self._get(f"/series/{_part(series_id)}/instances?expand", list[Instance])

    def study(self, study_id: str) -> Study:
        """A study: its main tags, its patient's, and its series."""
        return self._get(f"/studies/{_part(study_id)}", Study)

    def lookup(self, dicom_uid: str) -> list[FoundResource]:
        """Where a Study, Series or SOP Instance UID is in Orthanc; none, or several under different patients."""
        answer = self._request("POST", "/tools/lookup", content=dicom_uid.encode())
        return _read(list[FoundResource], answer, "POST /tools/lookup")

    def store(self, dicom_file: bytes) -> StoreOutcome:
        """Store a DICOM file.

        Args:
            dicom_file: The file.

        Returns:
            Whether it is new, and Orthanc's identifier.

        Raises:
            IntakeClosed: If Orthanc takes nothing at the moment.
            NotAuthorised: If user or password are wrong.
        """
        headers = {"Content-Type": "application/dicom"}
        try:
            answer = self._request("POST", "/instances", content=dicom_file, headers=headers)
        except NotAuthorised as error:
            if error.status != FORBIDDEN:
                raise
            raise IntakeClosed("POST /instances", FORBIDDEN, "intake is closed, or the disk is nearly full") from error
        return _read(StoreOutcome, answer, "POST /instances")

    def ask(
        self,
        kind: type[_Answer],
        method: str,
        path: str,
        *,
        json: object = None,
        timeout_s: float | None = None,
    ) -> _Answer:
        """Ask one of Orthanc's less common questions; who asks it knows its route.

        Args:
            kind: What the answer is read as.
            method: GET, POST, ...
            path: The route; identifiers in it are escaped already.
            json: The body.
            timeout_s: How long Orthanc may think, where that is less than usual.

        Returns:
            The answer.
        """
        more: dict[str, Any] = {} if json is None else {"json": json}
        if timeout_s is not None:
            more["timeout"] = httpx.Timeout(timeout_s)
        return _read(kind, self._request(method, path, **more), f"{method} {path}")

    def delete_instance(self, instance_id: str) -> None:
        """Delete an instance."""
        self._request("DELETE", f"/instances/{_part(instance_id)}")

    def _get(self, path: str, kind: type[_Answer]) -> _Answer:
        return _read(kind, self._request("GET", path), f"GET {path}")

    def _request(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own arguments
        """Ask Orthanc; the one place where httpx's errors become ours.

        Raises:
            OrthancUnreachable: If there is no answer.
            OrthancRefused: If the answer is an error.
        """
        try:
            answer = self._http.request(method, path, **more)
        except httpx.RequestError as error:
            raise OrthancUnreachable(self.url, f"{type(error).__name__} {error}".strip()) from error
        if answer.is_success:
            return answer
        kind = {401: NotAuthorised, 403: NotAuthorised, 404: NotFound}.get(answer.status_code, OrthancRefused)
        raise kind(f"{method} {path}", answer.status_code, _detail(answer))


def _part(identifier: str) -> str:
    """An identifier as one part of a path, whatever it holds."""
    return quote(identifier, safe="")


def _read(kind: type[_Answer], answer: httpx.Response, request: str) -> _Answer:
    """Read an answer's JSON.

    Raises:
        UnexpectedAnswer: If it is not what the request asks for.
    """
    try:
        return TypeAdapter(kind).validate_json(answer.content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise UnexpectedAnswer(request, f"{where}: {first['msg']}".removeprefix(": ")) from error


def _detail(answer: httpx.Response) -> str:
    """What Orthanc says of an error; `Details` where it knows more than `Message`."""
    try:
        body = answer.json()
    except ValueError:
        return answer.reason_phrase
    if not isinstance(body, dict):
        return answer.reason_phrase
    return str(body.get("Details") or body.get("Message") or answer.reason_phrase)
