"""SelectSeries: choose the volume that an app is made for, and say why each other one was left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from operators.core.errors import InputRefused, NotApplicable
from operators.core.findings import FindingCode
from operators.core.header import attribute, read_value
from operators.core.kinds import Kind
from operators.core.manifest import Condition, Criteria, VolumeProperty
from operators.core.selection import Candidate, LoadedFolder, Selection
from operators.core.volume_facts import facts_of
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from operators.core.findings import Finding
    from operators.core.geometry import SeriesGeometry, VolumeGeometry

UNITS = {
    VolumeProperty.SLICE_THICKNESS_MM: " mm",
    VolumeProperty.SLICE_SPACING_MM: " mm",
    VolumeProperty.COVERAGE_MM: " mm",
}
NEED_A_GRID = frozenset({
    VolumeProperty.ORIENTATION,
    VolumeProperty.SLICES,
    VolumeProperty.SLICE_SPACING_MM,
    VolumeProperty.COVERAGE_MM,
})
"""Unknown where images do not say where they lie: their findings refuse them, the criteria do not judge them."""


class SelectSeries(Step):
    """Choose the volume that the manifest's criteria describe.

    All criteria of `must` have to hold. Among the volumes that fit, one that may be measured comes before one with
    findings; then the highest score (weights of `prefer`) wins, then the largest coverage, the most slices, the lowest
    UID: the order of files never decides.

    Named Input:
        folder: LoadedFolder.

    Named Output:
        selection: Selection.

    Raises NotApplicable where no volume fits the criteria, InputRefused where those that fit have findings that the
    app does not accept, or a file of the folder is broken.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder",)
    output: ClassVar[str] = "selection"

    def process(self, folder: LoadedFolder) -> Selection:
        """Weigh all volumes."""
        criteria: Criteria = self.parameters
        return select_series(folder, criteria)


@dataclass(frozen=True, eq=False)
class _Weighed:
    """A volume with everything that speaks for and against it; `volume` is None for a series without images."""

    series: SeriesGeometry
    volume: VolumeGeometry | None
    reasons: tuple[str, ...]
    refusals: tuple[Finding, ...]
    score: float
    coverage_mm: float

    @property
    def rank(self) -> tuple[object, ...]:
        """The lowest wins."""
        assert self.volume is not None  # series without images have reasons
        usable = not self.refusals and self.volume.affine_lps is not None
        slices = len(self.volume.frames)
        return not usable, -self.score, -self.coverage_mm, -slices, self.series.series.uid, self._place_in_series

    @property
    def _place_in_series(self) -> int:
        return next((i for i, volume in enumerate(self.series.volumes) if volume is self.volume), 0)

    @property
    def candidate(self) -> Candidate:
        """What is recorded."""
        findings = () if self.reasons else tuple(finding.sentence for finding in self.refusals)
        return Candidate(
            self.series.series.uid,
            str(read_value(self.series.series.first, "SeriesDescription") or ""),
            _traits(self.volume),
            self.reasons + findings,
            None if self.reasons else self.score,
        )


def select_series(folder: LoadedFolder, criteria: Criteria) -> Selection:
    """Choose one volume.

    Args:
        folder: All series, and the files that were skipped.
        criteria: What has to hold, what is better, which findings are accepted.

    Returns:
        The chosen volume and how each was weighed.

    Raises:
        NotApplicable: If no volume fits.
        InputRefused: If images lack their UIDs, a file is broken, or volumes fit, but none may be measured: with the
            findings of the best.
    """
    _require_identity(folder.series)
    weighed = [one for series in folder.series for one in _weigh_series(series, criteria)]
    fitting = [one for one in weighed if not one.reasons]
    if not fitting:
        raise NotApplicable([f"series {_name(one)}: {', '.join(one.reasons)}" for one in weighed])
    best = min(fitting, key=lambda one: one.rank)
    assert best.volume is not None  # series without images have reasons
    if best.refusals or best.volume.affine_lps is None:
        raise InputRefused(best.refusals or (*best.series.own_findings, *best.volume.findings))
    _require_whole_files(folder, criteria)
    return Selection(best.volume, best.candidate, tuple(one.candidate for one in weighed))


def _require_identity(series: Iterable[SeriesGeometry]) -> None:
    """Refuse instances that do not say what they belong to: each may be a slice of the volume that is chosen.

    Raises:
        InputRefused: If there are any.
    """
    for geometry in series:
        if not geometry.series.uid or not all(i.uid for i in geometry.series.instances):
            raise InputRefused(geometry.findings)


def _require_whole_files(folder: LoadedFolder, criteria: Criteria) -> None:
    """Refuse a folder with a broken DICOM file: it may be a slice of the volume that was chosen.

    Raises:
        InputRefused: If there is one.
    """
    broken = [file.finding for file in folder.skipped if file.broken]
    if broken and FindingCode.BROKEN_FILE not in criteria.accepts:
        raise InputRefused(broken)


def _weigh_series(series: SeriesGeometry, criteria: Criteria) -> list[_Weighed]:
    if not series.volumes:
        modality = series.series.modality or "empty"
        return [_Weighed(series, None, (f"it holds no images (modality {modality})",), (), 0.0, 0.0)]
    return [_weigh(series, volume, criteria) for volume in series.volumes]


def _weigh(series: SeriesGeometry, volume: VolumeGeometry, criteria: Criteria) -> _Weighed:
    facts = facts_of(volume)
    reasons = [*_unmet(facts, criteria.must)]
    if not reasons and all(frame.instance.kind is Kind.IMAGE for frame in volume.frames):
        reasons = ["it is a two-dimensional image, no volume"]
    score = sum(p.weight for p in criteria.prefer if _problem(p.property, facts.get(p.property), p.condition) is None)
    coverage = facts.get(VolumeProperty.COVERAGE_MM, 0.0)
    assert isinstance(coverage, float)  # by its definition
    return _Weighed(series, volume, tuple(reasons), series.refusals(volume, criteria.accepts), score, coverage)


def _unmet(
    facts: Mapping[VolumeProperty, tuple[str, ...] | float], must: Mapping[VolumeProperty, Condition]
) -> Iterator[str]:
    """The criteria that do not hold, as sentences; where the modality is another one nothing else is said."""
    has_a_grid = VolumeProperty.SLICES in facts
    for name in sorted(must, key=list(VolumeProperty).index):
        if name in NEED_A_GRID and not has_a_grid:
            continue
        problem = _problem(name, facts.get(name), must[name])
        if problem is not None:
            yield problem
            if name is VolumeProperty.MODALITY:
                return


def _problem(name: VolumeProperty, fact: tuple[str, ...] | float | None, condition: Condition) -> str | None:
    """Why a condition does not hold; None where it does."""
    title = name.replace("_", " ").removesuffix(" mm")
    if condition.present is not None and (fact is not None) is not condition.present:
        return f"{title} is {'absent' if fact is None else 'present'}"
    if isinstance(fact, float):
        return _number_problem(title, fact, condition, UNITS.get(name, ""))
    return _text_problem(title, fact or (), condition)


def _number_problem(title: str, value: float, condition: Condition, unit: str) -> str | None:
    if condition.at_least is not None and value < condition.at_least:
        return f"{title}: {value:g}{unit}, at least {condition.at_least:g}{unit} needed"
    if condition.at_most is not None and value > condition.at_most:
        return f"{title}: {value:g}{unit}, at most {condition.at_most:g}{unit} allowed"
    return None


def _text_problem(title: str, values: tuple[str, ...], condition: Condition) -> str | None:
    folded = {value.casefold() for value in values}
    shown = "\\".join(values) or "absent"
    if condition.any_of and not folded & {v.casefold() for v in condition.any_of}:
        return f"{title} is {shown}, not {' or '.join(condition.any_of)}"
    excluded = [v for v in condition.none_of if v.casefold() in folded]
    if excluded:
        return f"{title} is {', '.join(excluded)}"
    if condition.matches is not None and not any(re.search(condition.matches, v, re.IGNORECASE) for v in values):
        return f"{title} is {shown}, which does not match {condition.matches!r}"
    if condition.at_least is not None or condition.at_most is not None:
        return f"{title} is {shown}, a number is needed"
    return None


def _traits(volume: VolumeGeometry | None) -> str:
    if volume is None:
        return ""
    return ", ".join(f"{attribute(name)} = {value}" for name, value in volume.traits.items())


def _name(one: _Weighed) -> str:
    first = one.series.series.first
    number, description = read_value(first, "SeriesNumber"), read_value(first, "SeriesDescription")
    traits = _traits(one.volume)
    return f"{'-' if number is None else number} ({description or 'no description'}{', ' + traits if traits else ''})"
