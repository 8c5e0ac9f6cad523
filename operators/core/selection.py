"""Selection: the series of a folder, weighed for an app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operators.core.geometry import SeriesGeometry
    from operators.core.reading import SkippedFile


@dataclass(frozen=True, eq=False)
class LoadedFolder:
    """All series of a folder with their geometry, and the files that are no DICOM."""

    series: tuple[SeriesGeometry, ...]
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True)
class Candidate:
    """One series, weighed.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        description: Series Description (0008,103E), which names a protocol, not a patient.
        reasons: Criteria that do not hold, and findings; empty for a series that can be measured.
        score: Coverage in mm along the normal, where the criteria hold.
    """

    series_instance_uid: str
    description: str
    reasons: tuple[str, ...]
    score: float | None


@dataclass(frozen=True, eq=False)
class Selection:
    """The series chosen, and how all were weighed.

    Attributes:
        series: The chosen series, regular.
        candidates: Every series of the folder, in the order of their UIDs.
    """

    series: SeriesGeometry
    candidates: tuple[Candidate, ...]
