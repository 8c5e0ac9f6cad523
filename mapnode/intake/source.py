"""Source: a series as Orthanc has it now: its instances, their files, their headers."""

from __future__ import annotations

import contextlib
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

from mapnode.errors import NodeError
from mapnode.intake.headers import Headers
from mapnode.pacs.errors import NotFound
from mapnode.pacs.resources import attachment_path
from operators.core.header import PARSE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from pydicom import Dataset

    from mapnode.pacs.events import InstanceEvent
    from mapnode.pacs.orthanc_client import OrthancClient
    from mapnode.pacs.resources import Instance


DIGESTS = 200_000
"""Digests of files that are remembered."""


@dataclass(frozen=True)
class SourceInstance:
    """One instance.

    Attributes:
        id: Orthanc's identifier.
        sop_instance_uid: SOP Instance UID (0008,0018).
        file_uuid: Of the file in Orthanc's storage area; another file is another content.
        md5: Of the file.
        number: Instance Number (0020,0013), where it has one.
    """

    id: str
    sop_instance_uid: str
    file_uuid: str
    md5: str
    number: int | None


@dataclass(frozen=True)
class SourceSeries:
    """A series.

    Attributes:
        id: Orthanc's identifier.
        study_id: Orthanc's identifier of its study.
        instances: What it has, without what was taken out of use.
    """

    id: str
    study_id: str
    instances: tuple[SourceInstance, ...]

    @property
    def digests(self) -> list[tuple[str, str]]:
        """SOP Instance UID and digest of each instance."""
        return [(instance.sop_instance_uid, instance.md5) for instance in self.instances]


class SourceReader:
    """Reads series from Orthanc: one question for all instances, files from its storage area."""

    def __init__(
        self, client: OrthancClient, storage: Path, rejected: Callable[[Collection[str]], Collection[str]]
    ) -> None:
        """Bind it.

        Args:
            client: Orthanc.
            storage: Its storage area; where this process cannot reach it, files come over REST.
            rejected: Which of some SOP Instance UIDs were taken out of use: they are no input anywhere.
        """
        self.client = client
        self._storage = storage
        self._rejected = rejected
        self._digests: dict[str, str] = {}
        self._headers = Headers()
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="ahead")

    def remember(self, event: InstanceEvent) -> None:
        """Keep the digest that an event told of, so that Orthanc need not be asked for it."""
        if event.file_uuid and event.md5:
            if len(self._digests) >= DIGESTS:
                self._digests.clear()
            self._digests[event.file_uuid] = event.md5

    def series(self, series_id: str) -> SourceSeries | None:
        """A series as it is now, without what was taken out of use; None where nothing is left of it.

        Args:
            series_id: Orthanc's identifier.
        """
        try:
            study_id = self.client.series(series_id).study_id
            found = self.client.series_instances(series_id)
            rejected = self._rejected([instance.sop_instance_uid for instance in found])
            used = tuple(self._instance(one) for one in found if one.sop_instance_uid not in rejected)
        except NotFound:
            return None
        if not used:
            return None
        return SourceSeries(series_id, study_id, used)

    def headers(self, series: SourceSeries) -> list[Dataset]:
        """The headers of all instances, in any order.

        Raises:
            NodeError: If one cannot be read.
        """
        try:
            return [self._headers.read(self.path(instance)) for instance in series.instances]
        except PARSE_ERRORS:  # not within our reach, or not as they were sent
            return [self._header(instance) for instance in series.instances]

    def prepare(self, file_uuids: Iterable[str]) -> None:
        """Read the headers of these files soon: whoever asks for them then need not wait."""
        for file_uuid in file_uuids:
            self._ahead.submit(self._headers.read_ahead, self.file(file_uuid))

    def headers_in(self, folder: Path) -> list[Dataset]:
        """The headers of a job's input; of hard links of what was read lately, without reading it again.

        Args:
            folder: The input; a file that does not parse is left out, as the app leaves it out.
        """
        found = []
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(*PARSE_ERRORS):
                found.append(self._headers.read(path))
        return found

    def forget(self) -> None:
        """Drop headers that were not used for a while."""
        self._headers.forget()

    def stop(self) -> None:
        """Do nothing more in the background."""
        self._ahead.shutdown(cancel_futures=True)

    def path(self, instance: SourceInstance) -> Path:
        """Where Orthanc's storage area keeps the file."""
        return self.file(instance.file_uuid)

    def file(self, file_uuid: str) -> Path:
        """Where Orthanc's storage area keeps a file, by its UUID."""
        return attachment_path(file_uuid, self._storage)

    def _header(self, instance: SourceInstance) -> Dataset:
        """One header over REST.

        Raises:
            NodeError: If it cannot be read.
        """
        try:
            return dcmread(io.BytesIO(self.client.instance_file(instance.id)), stop_before_pixels=True)
        except PARSE_ERRORS as error:
            raise NodeError(f"instance {instance.sop_instance_uid} cannot be read: {type(error).__name__}") from error

    def _instance(self, instance: Instance) -> SourceInstance:
        md5 = self._digests.get(instance.file_uuid) or self.client.attachment(instance.id).md5
        number = instance.tags.get("InstanceNumber", "").strip()
        return SourceInstance(
            id=instance.id,
            sop_instance_uid=instance.sop_instance_uid,
            file_uuid=instance.file_uuid,
            md5=md5,
            number=int(number) if number.lstrip("+-").isdigit() else None,
        )
