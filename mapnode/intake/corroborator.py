"""Corroborator: finds out whether a series is complete, from what its headers state and what its source has."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mapnode.intake.completeness import Corroboration
from mapnode.pacs.corroboration import SourceCounts
from mapnode.pacs.stated_count import stated_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mapnode.intake.deciding import Known
    from mapnode.pacs.orthanc_client import OrthancClient

THREADS = 4

_log = logging.getLogger(__name__)


class Corroborator:
    """Asks, and tells what it heard."""

    def __init__(
        self, client: OrthancClient, tell: Callable[[str, float, Corroboration], None], *, ask_source: bool = True
    ) -> None:
        """Bind it.

        Args:
            client: Orthanc, which asks the source by C-FIND.
            tell: Hears of a series, by Orthanc's identifier, of its last arrival as it was given, and what is said.
            ask_source: Whether the source is asked at all.
        """
        self._source = SourceCounts(client) if ask_source else None
        self._tell = tell
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="corroborate")

    def ask(self, known: Known, last: float, calling_aet: str) -> None:
        """Find out whether a series is complete; the answer comes when it comes.

        Args:
            known: The series.
            last: When its last instance came, monotonic seconds.
            calling_aet: AE title of its sender; empty where nobody knows: its source is not asked then.
        """
        self._threads.submit(self._ask, known, last, calling_aet)

    def stop(self) -> None:
        """Ask nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, known: Known, last: float, calling_aet: str) -> None:
        try:
            for said in self._answers(known, calling_aet):
                self._tell(known.source.id, last, said)
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody else would hear of it
            _log.warning("whether a series of %s is complete cannot be asked: %s", calling_aet, type(error).__name__)

    def _answers(self, known: Known, calling_aet: str) -> Iterator[Corroboration]:
        """What headers and source say, as it comes."""
        stated = stated_count(known.headers)
        if stated is not None:
            yield Corroboration(stated, "its own header states that the series")
        if self._source is None or not calling_aet:
            return
        study, series = known.facts.study_instance_uid, known.facts.series_instance_uid
        count = self._source.count_at_source(calling_aet, study, series)
        if count is not None:
            yield Corroboration(count, f"{calling_aet} says by C-FIND that the series")
