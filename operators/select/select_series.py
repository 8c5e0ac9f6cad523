"""SelectSeries: choose the series that an app is made for, and say why each other one was left."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core.errors import InputRefused, NotApplicable
from operators.core.geometry import normal_of
from operators.core.manifest import Criteria
from operators.core.selection import Candidate, LoadedFolder, Selection
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from operators.core.geometry import SeriesGeometry

NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""LPS axis along which the normal of the slices runs."""
ORIENTATION_TOLERANCE_DEG = 20.0
"""A stack is still called axial up to this angle: gantries and reconstructions are tilted by up to about 20 degrees."""


class SelectSeries(Step):
    """Choose the series that the manifest's criteria describe.

    All criteria have to hold. Among several series the one that covers most wins, then the one with more slices,
    then the lower UID: the order of files never decides. A series with findings is never chosen before one without.

    Named Input:
        folder: LoadedFolder.

    Named Output:
        selection: Selection.

    Raises NotApplicable where no series fits the criteria, InputRefused where those that fit have findings.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder",)
    output: ClassVar[str] = "selection"

    def process(self, folder: LoadedFolder) -> Selection:
        """Weigh all series."""
        criteria: Criteria = self.parameters
        return select_series(folder.series, criteria)


def select_series(series: Iterable[SeriesGeometry], criteria: Criteria) -> Selection:
    """Choose one series.

    Args:
        series: All series of a folder.
        criteria: What has to hold.

    Returns:
        The chosen series and how each was weighed.

    Raises:
        NotApplicable: If no series fits, with the reasons of each.
        InputRefused: If images lack their UIDs, or series fit, but none is usable: with the findings of the best.
    """
    series = tuple(series)
    _require_identity(series)
    weighed = [(geometry, *_weigh(geometry, criteria)) for geometry in series]
    fitting = [(geometry, coverage) for geometry, reasons, coverage in weighed if not reasons]
    if not fitting:
        raise NotApplicable([f"series {_name(geometry)}: {', '.join(reasons)}" for geometry, reasons, _ in weighed])
    best = min(fitting, key=lambda item: (not item[0].usable, -item[1], -_count(item[0]), item[0].series.uid))[0]
    if not best.usable:
        raise InputRefused(best.findings)
    return Selection(best, tuple(_candidate(*item) for item in weighed))


def _require_identity(series: Iterable[SeriesGeometry]) -> None:
    """Refuse instances that do not say what they belong to: each may be a slice of the series that is chosen.

    Raises:
        InputRefused: If there are any.
    """
    for geometry in series:
        if not geometry.series.uid or not all(i.uid for i in geometry.series.instances):
            raise InputRefused(geometry.findings)


def _candidate(geometry: SeriesGeometry, reasons: tuple[str, ...], coverage: float) -> Candidate:
    findings = tuple(finding.sentence for finding in geometry.findings) if not reasons else ()
    return Candidate(
        geometry.series.uid,
        str(geometry.series.first.get("SeriesDescription") or ""),
        reasons + findings,
        None if reasons else round(coverage, 3),
    )


def _weigh(geometry: SeriesGeometry, criteria: Criteria) -> tuple[tuple[str, ...], float]:
    """The criteria that do not hold, as sentences, and the coverage in mm."""
    if geometry.series.modality != criteria.modality:
        return (f"modality is {geometry.series.modality or 'empty'}, not {criteria.modality}",), 0.0
    reasons = [*_header_reasons(geometry, criteria)]
    stack = _stack(geometry)
    if stack is None:
        # Without positions the findings say what is wrong: that is a refusal, not a matter of choice.
        return tuple(reasons), 0.0
    normal, positions = stack
    coverage = float(positions.max() - positions.min())
    spacing = coverage / max(1, len(positions) - 1)
    if np.degrees(np.arccos(np.clip(abs(normal[NORMAL_AXIS[criteria.orientation]]), 0, 1))) > ORIENTATION_TOLERANCE_DEG:
        reasons.append(f"orientation is not {criteria.orientation}")
    if len(positions) < criteria.min_slices:
        reasons.append(f"{len(positions)} slices, at least {criteria.min_slices} are needed")
    elif coverage < criteria.min_coverage_mm:
        reasons.append(f"it covers {coverage:g} mm, at least {criteria.min_coverage_mm:g} mm are needed")
    elif spacing > criteria.max_slice_spacing_mm:
        reasons.append(f"slices are {spacing:g} mm apart, at most {criteria.max_slice_spacing_mm:g} mm are allowed")
    return tuple(reasons), coverage


def _header_reasons(geometry: SeriesGeometry, criteria: Criteria) -> Iterable[str]:
    headers = [instance.header for instance in geometry.series.instances]
    for value in criteria.image_type_excludes:
        if all(value in (header.get("ImageType") or ()) for header in headers):
            yield f"image type is {value}"
    body_part = str(geometry.series.first.get("BodyPartExamined") or "").upper()
    if body_part in criteria.body_part_excludes:
        yield f"body part is {body_part}"


def _stack(geometry: SeriesGeometry) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Normal of the slices and positions along it in mm; None where a series could not be ordered."""
    if not geometry.instances:
        return None
    middle = geometry.instances[len(geometry.instances) // 2].header
    normal = normal_of(np.asarray(middle.ImageOrientationPatient, dtype=np.float64))
    points = np.asarray([i.header.ImagePositionPatient for i in geometry.instances], dtype=np.float64)
    return normal, np.unique(np.round(points @ normal, 2))


def _count(geometry: SeriesGeometry) -> int:
    return len(geometry.series.instances)


def _name(geometry: SeriesGeometry) -> str:
    number = geometry.series.first.get("SeriesNumber")
    description = str(geometry.series.first.get("SeriesDescription") or "no description")
    return f"{number if number is not None else '-'} ({description})"
