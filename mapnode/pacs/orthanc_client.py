"""Orthanc client: the part of Orthanc's REST that the node uses, typed, with foreign errors mapped at this one border.

Why not pyorthanc: it answers dictionaries, has one time limit for everything, and raises httpx's errors.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from mapnode.pacs.errors import (
    CompressedAttachment,
    IntakeClosed,
    NotAuthorised,
    NotFound,
    OrthancFailed,
    OrthancRefused,
    OrthancUnreachable,
    UnexpectedAnswer,
)
from mapnode.pacs.events import TOKEN_HEADER, InstanceEvent
from mapnode.pacs.resources import (
    Attachment,
    ChangeAnswer,
    ChangePage,
    FoundResource,
    Instance,
    InstanceMetadata,
    Series,
    Statistics,
    StoreOutcome,
    Study,
    SystemInformation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TIMEOUT = httpx.Timeout(connect=2.0, read=30.0, write=30.0, pool=5.0)
"""Seconds to connect, between two pieces of an answer, between two pieces of a request, for a free connection."""
KEEPALIVE_S = 0.5
"""Orthanc closes idle connections after 1 s; one that may be closing is not used again."""

FORBIDDEN = 403
"""What Orthanc answers where its plugin's filter says no; wrong credentials get 401."""

_Answer = TypeVar("_Answer")


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
        with self._no_objects_fault():
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
        with self._no_objects_fault():
            answer = self._get(f"/changes?since={since}&limit={limit}", ChangeAnswer)
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
        with self._no_objects_fault():
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

    @contextlib.contextmanager
    def _no_objects_fault(self) -> Iterator[None]:
        """Ask what is answered from the index alone: an error of Orthanc's own says that nothing can be asked now.

        Raises:
            OrthancUnreachable: In its place.
        """
        try:
            yield
        except OrthancFailed as error:
            raise OrthancUnreachable(self.url, f"{error.status} {error.detail}") from error

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
        otherwise = OrthancFailed if answer.is_server_error else OrthancRefused
        kind = {401: NotAuthorised, 403: NotAuthorised, 404: NotFound}.get(answer.status_code, otherwise)
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
