"""Corroborator: finds out whether a series is complete, from what its headers state and what its source has."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from mapnode.errors import NodeError
from mapnode.intake.completeness import Corroboration
from mapnode.pacs.corroboration import SourceCounts
from mapnode.pacs.stated_count import stated_count
from operators.core.header import read_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mapnode.intake.source import SourceReader

THREADS = 4

_log = logging.getLogger(__name__)


class Corroborator:
    """Asks, and tells what it heard."""

    def __init__(
        self, reader: SourceReader, tell: Callable[[str, float, Corroboration], None], *, ask_source: bool = True
    ) -> None:
        """Bind it.

        Args:
            reader: Reads series from Orthanc, which asks the source by C-FIND.
            tell: Hears of a series, by Orthanc's identifier, of its last arrival as it was given, and what is said.
            ask_source: Whether the source is asked at all.
        """
        self._reader = reader
        self._source = SourceCounts(reader.client) if ask_source else None
        self._tell = tell
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="corroborate")

    def ask(self, series_id: str, last: float, calling_aet: str) -> None:
        """Find out whether a series is complete; the answer comes when it comes.

        What is read of the series for that is what it will be decided on (`SourceReader.series_seen`).

        Args:
            series_id: Orthanc's identifier.
            last: When its last instance came, monotonic seconds.
            calling_aet: AE title of its sender; empty where nobody knows: its source is not asked then.
        """
        self._threads.submit(self._ask, series_id, last, calling_aet)

    def stop(self) -> None:
        """Ask nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, series_id: str, last: float, calling_aet: str) -> None:
        try:
            for said in self._answers(series_id, last, calling_aet):
                self._tell(series_id, last, said)
        except NodeError as error:  # whoever decides the series reads it again, and hears what is wrong
            _log.debug("nobody knows whether series %s is complete: %s", series_id, error)
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody else would hear of it
            _log.warning("whether a series of %s is complete cannot be asked: %s", calling_aet, type(error).__name__)

    def _answers(self, series_id: str, last: float, calling_aet: str) -> Iterator[Corroboration]:
        """What source and headers say, as it comes; the headers of a long series take longer than the question."""
        source = self._reader.series_seen(series_id, last)
        if source is None:
            return
        if self._source is not None and calling_aet:
            first = self._reader.headers(replace(source, instances=source.instances[:1]))[0]
            study, series = (read_uid(first, name) for name in ("StudyInstanceUID", "SeriesInstanceUID"))
            count = self._source.count_at_source(calling_aet, study, series)
            if count is not None:
                yield Corroboration(count, f"{calling_aet} says by C-FIND that the series")
            if count == len(source.instances):
                return
        stated = stated_count(self._reader.headers(source))
        if stated is not None:
            yield Corroboration(stated, "its own header states that the series")
