"""Observer: when SEG and SR of a study can be found in an Orthanc, seen from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mapnode.pacs.orthanc_client import OrthancClient

POLL_S = 0.03
WANTED = {"SEG", "SR"}


def found_at(client: OrthancClient, study_instance_uid: str, timeout_s: float = 300.0, poll_s: float = POLL_S) -> float:
    """Wait until SEG and SR of a study are there: when that was, seconds since the epoch.

    Args:
        client: The Orthanc.
        study_instance_uid: Study Instance UID (0020,000D) of a study that is there.
        timeout_s: For how long.
        poll_s: Pause between two looks, each of which takes some 5 ms from both sides' processors.

    Raises:
        TimeoutError: If they are not there then.
    """
    (study,) = (found for found in client.lookup(study_instance_uid) if found.type == "Study")
    deadline = time.monotonic() + timeout_s
    modalities: dict[str, str] = {}
    while not set(modalities.values()) >= WANTED:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no SEG and SR after {timeout_s:g} s, only {sorted(modalities.values())}")
        time.sleep(poll_s)
        for series_id in client.study(study.id).series_ids:
            if series_id not in modalities:
                modalities[series_id] = client.series(series_id).tags["Modality"]
    return time.time()
