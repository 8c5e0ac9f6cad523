"""Selection: the volumes of a folder, weighed for an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operators.core.geometry import SeriesGeometry, VolumeGeometry
    from operators.core.reading import SkippedFile


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """All series of a folder with their volumes, and the files that were skipped."""

    series: tuple[SeriesGeometry, ...]
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True)
class Candidate:
    """One volume, weighed.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        description: Series Description (0008,103E), which names a protocol, not a patient.
        volume: What tells the volume from others of its series; empty where it is the only one.
        reasons: Criteria that do not hold, and findings; empty for a volume that can be measured.
        score: Sum of the weights of preferences met, where the criteria hold.
    """

    series_instance_uid: str
    description: str
    volume: str
    reasons: tuple[str, ...]
    score: float | None


@dataclass(frozen=True, eq=False)
class Selection:
    """The volume chosen, and how all were weighed.

    Attributes:
        volume: The chosen volume.
        chosen: How it was weighed.
        candidates: Every volume of the folder, in the order of their series' UIDs.
    """

    volume: VolumeGeometry
    chosen: Candidate
    candidates: tuple[Candidate, ...]
