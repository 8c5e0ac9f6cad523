"""Commitment: what a request for storage commitment (PS3.4 J) says: its sender is done with a study.

Of which instances a request is, Orthanc does not say. It vouches for a study where no other one of its sender can be
meant: one that only pauses would go out early, whichever of the two the request is about (decision 0015).
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from mapnode.intake.completeness import Corroboration
from mapnode.pacs.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapnode.intake.arrivals import SeriesArrivals
    from mapnode.pacs.orthanc_client import OrthancClient

ASKED_FOR_S = 600.0
"""A request may be about what came no longer ago."""
ASKED_AGAIN_S = 60.0
"""A sender that asks series by series asks again about one study within this."""


class Commitments:
    """Takes the requests of senders. The intake's thread uses it."""

    def __init__(self, client: OrthancClient, series: Mapping[str, SeriesArrivals]) -> None:
        """Bind it.

        Args:
            client: Orthanc, which knows of which study a series is.
            series: What is known of arrivals, by Orthanc's identifier; what is vouched for is kept there.
        """
        self._client = client
        self._series = series
        self._doubted_at = time.monotonic()

    def doubt(self) -> None:
        """Not all that came lately may be known, as after a start: a request may be about what is not."""
        self._doubted_at = time.monotonic()

    def asked(self, calling_aet: str) -> None:
        """A sender asks for storage commitment.

        Args:
            calling_aet: Its AE title.

        Raises:
            OrthancUnreachable: If Orthanc does not say which study a series is of.
        """
        now = time.monotonic()
        if now - self._doubted_at < ASKED_FOR_S:
            return
        sent = [one for one in self._series.values() if calling_aet and one.calling_aet == calling_aet]
        meant = [one for one in sent if _may_be_meant(one, now) and self._has_study(one)]
        if len({one.study_id for one in meant}) == 1:
            for known in meant:
                known.committed_at = now

    def _has_study(self, known: SeriesArrivals) -> bool:
        """Find out of which study a series is; False where it is gone."""
        with contextlib.suppress(NotFound):
            known.study_id = known.study_id or self._client.series(known.series_id).study_id
        return bool(known.study_id)


def vouched(known: SeriesArrivals) -> list[Corroboration]:
    """What the request of its sender says of a series: as many instances as were looked at are all."""
    if not known.committed_at:
        return []
    return [Corroboration(known.looked, "its sender asked for storage commitment: the series")]


def _may_be_meant(known: SeriesArrivals, now: float) -> bool:
    """Whether a request that comes now may be about a series."""
    if known.committed_at:
        return now - known.committed_at < ASKED_AGAIN_S
    return now - known.last < ASKED_FOR_S
