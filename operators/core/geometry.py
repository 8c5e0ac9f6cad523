"""Geometry: which volumes a series holds, on which grids, and what is wrong with them.

A series is regular when all its frames make exactly one regular volume: one orientation, one Pixel Spacing, one
matrix, and positions that are equally spaced along the normal of the slices (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operators.core.findings import Finding, FindingCode
from operators.core.frames import Frame, UnreadableFrames, frames_of
from operators.core.header import alike, attribute, read_value
from operators.core.kinds import Kind
from operators.core.placement import Placement, Unplaced, matrix_of, place
from operators.core.series_checks import check_instances, check_values, is_colour
from operators.core.splitting import Group, is_localizer, orientation_clusters, split
from operators.core.stack import Checks, build_stack
from operators.core.stored_pixels import drop_identical

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from operators.core.reading import Series


@dataclass(frozen=True, eq=False)
class VolumeGeometry:
    """One volume of a series, or images that make none, before their pixels are read.

    Attributes:
        series: The series that it is part of.
        frames: In the order of their positions along the normal; of their numbers where they have no place.
        shape: Slices, rows, columns; None where Rows and Columns cannot be.
        spacing_mm: Distance between slices along the normal (None for a single position), rows, columns.
        affine_lps: `(4, 4)` as in Volume, where slices are evenly spaced; sheared for a tilted stack.
        findings: What is wrong with this volume, beside the findings of the series.
        traits: What tells it from the other volumes of the series, by keyword.
        regular: Whether it is a regular volume, whatever else is wrong with its values.
    """

    series: Series
    frames: tuple[Frame, ...]
    shape: tuple[int, int, int] | None
    spacing_mm: tuple[float | None, float, float] | None = None
    affine_lps: NDArray[np.float64] | None = None
    findings: tuple[Finding, ...] = ()
    traits: Mapping[str, str] = field(default_factory=dict)
    regular: bool = False


@dataclass(frozen=True, eq=False)
class SeriesGeometry:
    """What a series holds.

    Attributes:
        series: The series.
        volumes: The most slices first, then by what tells them apart.
        own_findings: What is wrong with the series as a whole.
    """

    series: Series
    volumes: tuple[VolumeGeometry, ...]
    own_findings: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of the series and of its volumes, each once."""
        found = [*self.own_findings, *(finding for volume in self.volumes for finding in volume.findings)]
        return tuple(dict.fromkeys(found))

    @property
    def regular(self) -> bool:
        """Whether all instances make exactly one regular volume, whatever else is wrong with them."""
        if len(self.volumes) != 1 or not self.volumes[0].regular:
            return False
        used = {frame.instance.path for frame in self.volumes[0].frames}
        return len(used) == len(self.series.instances)

    @property
    def usable(self) -> bool:
        """Whether its only volume may be measured as it is."""
        return self.regular and not self.findings

    def refusals(self, volume: VolumeGeometry, accepted: Collection[str] = ()) -> tuple[Finding, ...]:
        """Why a volume must not be measured.

        Args:
            volume: One of this series' volumes.
            accepted: Codes of the findings that the app accepts.

        Returns:
            The findings that stand against it; empty where it may be measured.
        """
        return tuple(f for f in (*self.own_findings, *volume.findings) if f.code not in accepted)


def examine(series: Series) -> SeriesGeometry:
    """Find the volumes of a series and check them.

    Args:
        series: A series as read from a folder.

    Returns:
        Its volumes with their grids, and everything that is wrong.
    """
    frames, checks = _frames(series)
    checks.findings[:0] = check_instances(series)
    checks.findings += check_values(frames)
    placed, loose = _place(frames, checks)
    incomplete = FindingCode.UNREADABLE_FRAMES in {f.code for f in checks.findings} or any(map(_has_a_plane, loose))
    _check_mixtures(placed, checks)
    volumes = [_volume(series, group, incomplete=incomplete) for group in split(placed)]
    if len(volumes) > 1 and not {f.code for f in checks.findings} & EXPLAINED:
        checks.add(
            FindingCode.SEVERAL_VOLUMES,
            f"the series holds {len(volumes)} volumes ({_differences(volumes)}): an app has to say which it takes",
            frames,
        )
    return SeriesGeometry(series, (*volumes, *_loose_images(series, loose)), tuple(checks.findings))


EXPLAINED = {FindingCode.MIXED_ORIENTATION, FindingCode.MIXED_MATRIX, FindingCode.LOCALIZER}
"""Findings that say already why a series is more than one volume."""
GAPS = {FindingCode.MISSING_SLICES, FindingCode.VARIABLE_SPACING}
"""What frames without a place leave behind: nobody knows then whether slices are missing."""


def _frames(series: Series) -> tuple[list[Frame], Checks]:
    frames: list[Frame] = []
    checks = Checks()
    for instance in series.instances:
        try:
            frames += frames_of(instance)
        except UnreadableFrames as error:
            uids, files = ((instance.uid,), ()) if instance.uid else ((), (instance.name,))
            checks.findings.append(Finding(FindingCode.UNREADABLE_FRAMES, f"{instance.name}: {error}", uids, files))
    uncertain = [frame for frame in frames if frame.tile is not None and not frame.tile.certain]
    if uncertain:
        checks.add(
            FindingCode.UNCERTAIN_MOSAIC,
            "the header does not say how many tiles of the mosaic are slices, or which way they run: black tiles at "
            "the end may be none, and the volume may be upside down",
            uncertain,
        )
    return frames, checks


def _place(frames: Sequence[Frame], checks: Checks) -> tuple[list[Placement], list[Frame]]:
    """Frames that say where they lie, and those that do not, with a finding for each problem of those that should."""
    placed: list[Placement] = []
    loose: list[Frame] = []
    problems: dict[Unplaced, list[Frame]] = defaultdict(list)
    for frame in frames:
        found = place(frame) if _has_a_plane(frame) else None
        if isinstance(found, Placement):
            placed.append(found)
        else:
            loose.append(frame)
        if isinstance(found, Unplaced):
            problems[found].append(frame)
    for problem, concerned in problems.items():
        names = list(dict.fromkeys(frame.instance.name for frame in concerned))
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        checks.add(problem.code, f"{names[0]}{more}: {problem.problem}", concerned)
    return placed, loose


def _has_a_plane(frame: Frame) -> bool:
    """Whether a frame is of a kind that has to say where it lies."""
    return frame.instance.kind is not Kind.IMAGE


def _check_mixtures(placed: Sequence[Placement], checks: Checks) -> None:
    """One orientation, one matrix, no localizer among other images."""
    if not placed:
        return
    frames = [placement.frame for placement in placed]
    localizers = [frame for frame in frames if is_localizer(frame)]
    if localizers and len(localizers) < len(frames):
        checks.add(
            FindingCode.LOCALIZER,
            f"{len(localizers)} of {len(frames)} images are localizers (ImageType); send them as a series of their own",
            localizers,
        )
    _check_one(FindingCode.MIXED_ORIENTATION, "ImageOrientationPatient", frames, orientation_clusters(placed), checks)
    _check_one(FindingCode.MIXED_MATRIX, "Rows", frames, [placement.matrix for placement in placed], checks)


def _check_one(
    code: FindingCode, keyword: str, frames: Sequence[Frame], keys: Sequence[Hashable], checks: Checks
) -> None:
    most, _ = Counter(keys).most_common(1)[0]
    minority = [frame for frame, key in zip(frames, keys, strict=True) if key != most]
    if minority:
        checks.add(
            code,
            f"{attribute(keyword)} differs inside the series: {len(minority)} of {len(frames)} images disagree with "
            "the others",
            minority,
        )


def _volume(series: Series, group: Group, *, incomplete: bool) -> VolumeGeometry:
    """One group of frames as a volume.

    Copies of an image, equal to the last bit, are left out: that is a finding, and the volume is whole.
    """
    kept, dropped = drop_identical(group.placements)
    stack = build_stack(kept)
    checks = Checks([f for f in stack.findings if not (incomplete and f.code in GAPS)])
    if dropped:
        checks.add(
            FindingCode.DUPLICATE_POSITION,
            f"{len(dropped)} images are copies of another one at the same position, to the last bit: one is kept",
            [placement.frame for placement in dropped],
        )
    _check_content([placement.frame for placement in stack.placements], checks)
    first = stack.placements[0]
    colour = any(is_colour(placement.frame) for placement in stack.placements)
    return VolumeGeometry(
        series,
        tuple(placement.frame for placement in stack.placements),
        (len(stack.placements), *first.matrix),
        (stack.step_mm, *first.spacing),
        None if colour else stack.affine_lps,
        tuple(checks.findings),
        group.traits,
        regular=not (stack.findings or incomplete or colour),
    )


CONTENT = (
    "EchoTime",
    "EffectiveEchoTime",
    "DiffusionBValue",
    "ComplexImageComponent",
    "KVP",
    "ConvolutionKernel",
    "ContrastBolusAgentPhase",
)
"""In what slices of one volume agree: evenly spaced ones that do not were taken in turns."""


def _check_content(frames: Sequence[Frame], checks: Checks) -> None:
    for keyword in CONTENT:
        written = alike(frames, lambda frame: frame.header, keyword)
        if len(written) == 1:
            continue
        values = {str(read_value(group[0].header, keyword) or "") for group in written.values()}
        if len(values) > 1:
            most = max(written.values(), key=len)
            minority = [frame for group in written.values() if group is not most for frame in group]
            checks.add(
                FindingCode.MIXED_CONTENT,
                f"{attribute(keyword)} differs inside the volume: {len(minority)} of {len(frames)} slices disagree",
                minority,
            )


def _loose_images(series: Series, loose: Iterable[Frame]) -> list[VolumeGeometry]:
    """Frames without a place, those of one instance and one matrix together."""
    by_instance: dict[object, list[Frame]] = defaultdict(list)
    for frame in loose:
        by_instance[frame.instance.path].append(frame)
    found = []
    for frames in by_instance.values():
        matrix = matrix_of(frames[0].header)
        shape = None if isinstance(matrix, Unplaced) else (len(frames), *matrix)
        found.append(VolumeGeometry(series, tuple(frames), shape))
    return found


def _differences(volumes: Iterable[VolumeGeometry]) -> str:
    names = dict.fromkeys(name for volume in volumes for name in volume.traits)
    return ", ".join(attribute(name) for name in names) or "pictures of their own"
