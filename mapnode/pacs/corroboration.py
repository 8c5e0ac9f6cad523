"""Corroboration: who can say that a series is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from mapnode.pacs.orthanc_client import OrthancClient


def count_at_source(client: OrthancClient, aet: str, study_uid: str, series_uid: str) -> int | None:
    """Nobody is asked yet."""
    return None


def stated_count(headers: Sequence[Dataset]) -> int | None:
    """Nothing is read yet."""
    return None
