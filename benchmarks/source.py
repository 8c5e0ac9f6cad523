"""Source: a PACS that answers by C-FIND how many instances its series have."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pynetdicom.events import Event

    from benchmarks.turnaround_series import FreshSeries

VIEWER = "VIEWER"
"""The sender that a node can ask; the scanner answers nothing, as most do."""
SUCCESS, PENDING = 0x0000, 0xFF00


class Source:
    """What it has."""

    def __init__(self) -> None:
        self._instances: dict[str, tuple[str, int]] = {}

    def has(self, series: FreshSeries) -> None:
        """Take a series."""
        self._instances[series.series_instance_uid] = series.study_instance_uid, len(series.files)

    def find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        """Answer a question about one series (PS3.4 C.6.2.1)."""
        wanted = str(event.identifier.get("SeriesInstanceUID"))
        if wanted in self._instances and event.identifier.QueryRetrieveLevel == "SERIES":
            answer = Dataset()
            answer.QueryRetrieveLevel = "SERIES"
            answer.SeriesInstanceUID = wanted
            answer.StudyInstanceUID, answer.NumberOfSeriesRelatedInstances = self._instances[wanted]
            yield PENDING, answer
        yield SUCCESS, None

    @contextmanager
    def serve(self, port: int) -> Iterator[None]:
        """Answer on a port of loopback."""
        title = AE(VIEWER)
        title.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        title.add_supported_context(Verification)
        server = title.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, self.find)])
        try:
            yield
        finally:
            server.shutdown()
