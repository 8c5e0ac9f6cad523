"""Corroboration: how many instances of a series its source has, as it says itself (C-FIND, PS3.4 C.4.1).

A series of which everything has come needs no waiting. Who does not answer, or in a way that can be doubted, has said
nothing: a wrong count publishes a wrong number.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field

from mapnode.pacs.errors import OrthancRefused, OrthancUnreachable, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mapnode.pacs.orthanc_client import OrthancClient

LIMIT_S = 1.0
"""How long all questions about one series may take."""
SILENCE_S = 600.0
"""How long a source that does not answer is not asked again."""

_log = logging.getLogger(__name__)


class _Modality(BaseModel):
    aet: str = Field(validation_alias="AET")


class _Query(BaseModel):
    path: str = Field(validation_alias="Path")


class SourceCounts:
    """Asks the sources of series, through Orthanc, how many instances they have.

    Each question takes a second at most, in the thread of who asks.

    Args:
        client: Orthanc.
        clock: Seconds that only grow; for tests.
    """

    def __init__(self, client: OrthancClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._silent_until: dict[str, float] = {}

    def count_at_source(self, aet: str, study_instance_uid: str, series_instance_uid: str) -> int | None:
        """How many instances of a series its source has at this moment; more may be on their way to it.

        Args:
            aet: The source, as it called: its AE title.
            study_instance_uid: Study Instance UID (0020,000D).
            series_instance_uid: Series Instance UID (0020,000E).

        Returns:
            The count; None where the source is none of our modalities, does not answer, refuses, does not know the
            series, or answers ambiguously.
        """
        source = aet.strip().upper()
        if self._clock() < self._silent_until.get(source, 0.0):
            return None
        question = _Question(self._client, self._clock() + LIMIT_S, self._clock)
        series = {"StudyInstanceUID": study_instance_uid, "SeriesInstanceUID": series_instance_uid}
        try:
            name = question.modality(source)
            return None if name is None else question.count(name, series)
        except (OrthancRefused, OrthancUnreachable, UnexpectedAnswer) as error:
            if _is_the_sources_fault(error):
                self._silent_until[source] = self._clock() + SILENCE_S
                _log.info("%s does not tell how much it has, not asking for %g s: %s", source, SILENCE_S, error)
            return None


class _Question:
    """All requests about one series, within one time limit."""

    def __init__(self, client: OrthancClient, deadline: float, clock: Callable[[], float]) -> None:
        self._client = client
        self._deadline = deadline
        self._clock = clock

    def modality(self, aet: str) -> str | None:
        """Orthanc's name of a modality; None where it has none of that AE title."""
        known = self._client.ask(dict[str, _Modality], "GET", "/modalities?expand", timeout_s=self._left())
        return next((name for name, modality in known.items() if modality.aet.upper() == aet), None)

    def count(self, name: str, series: dict[str, str]) -> int | None:
        """Ask for the count; where the source leaves it out, for each instance."""
        answers = self._find(name, "Series", series | {"NumberOfSeriesRelatedInstances": ""})
        answers = [a for a in answers if a.get("SeriesInstanceUID") == series["SeriesInstanceUID"]]
        if len(answers) != 1:
            return None
        stated = str(answers[0].get("NumberOfSeriesRelatedInstances") or "").strip()
        if stated.isdecimal():
            return int(stated) or None
        instances = self._find(name, "Instance", series | {"SOPInstanceUID": ""})
        uids = {str(a.get("SOPInstanceUID") or "") for a in instances}
        return None if "" in uids else len(uids) or None

    def _find(self, name: str, level: str, query: dict[str, str]) -> list[dict[str, object]]:
        """C-FIND at a level; the answers' values by keyword."""
        limit_s = self._left()
        wanted = {"Level": level, "Query": query, "Timeout": max(1, round(limit_s))}
        asked = self._client.ask(
            _Query, "POST", f"/modalities/{quote(name, safe='')}/query", json=wanted, timeout_s=limit_s
        )
        path = f"{asked.path}/answers?expand&simplify"
        return self._client.ask(list[dict[str, object]], "GET", path, timeout_s=self._left())

    def _left(self) -> float:
        """Seconds that are left.

        Raises:
            OrthancUnreachable: If none are.
        """
        left = self._deadline - self._clock()
        if left <= 0:
            raise OrthancUnreachable(self._client.url, "no time left") from TimeoutError()
        return left


def _is_the_sources_fault(error: Exception) -> bool:
    """Whether it is worth remembering: an Orthanc that starts or stops says nothing of the source."""
    return not isinstance(error, OrthancUnreachable) or isinstance(error.__cause__, (TimeoutError, httpx.ReadTimeout))
