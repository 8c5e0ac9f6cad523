"""Corroborator: finds out whether a series is complete, from what its headers state and what its source has."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mapnode.intake.completeness import Corroboration
from mapnode.pacs.corroboration import SourceCounts
from mapnode.pacs.stated_count import stated_count

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapnode.intake.deciding import Known
    from mapnode.pacs.orthanc_client import OrthancClient

THREADS = 4

_log = logging.getLogger(__name__)


class Corroborator:
    """Asks, and tells what it heard."""

    def __init__(
        self, client: OrthancClient, tell: Callable[[str, Corroboration], None], *, ask_source: bool = True
    ) -> None:
        """Bind it.

        Args:
            client: Orthanc, which asks the source by C-FIND.
            tell: Hears of a series, by Orthanc's identifier, and what is said of it.
            ask_source: Whether the source is asked at all.
        """
        self._source = SourceCounts(client) if ask_source else None
        self._tell = tell
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="corroborate")

    def ask(self, known: Known, calling_aet: str) -> None:
        """Find out whether a series is complete; the answer comes when it comes."""
        self._threads.submit(self._ask, known, calling_aet)

    def stop(self) -> None:
        """Ask nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ask(self, known: Known, calling_aet: str) -> None:
        stated = stated_count(known.headers)
        if stated is not None:
            self._tell(known.source.id, Corroboration(stated, "its own header states that the series"))
        if self._source is None or not calling_aet:
            return
        study, series = known.facts.study_instance_uid, known.facts.series_instance_uid
        try:
            count = self._source.count_at_source(calling_aet, study, series)
        except Exception as error:  # noqa: BLE001 - a thread of its own: nobody else would hear of it
            _log.warning("%s could not be asked about a series: %s", calling_aet, type(error).__name__)
            return
        if count is not None:
            self._tell(known.source.id, Corroboration(count, f"{calling_aet} says by C-FIND that the series"))
