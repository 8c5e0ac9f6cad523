"""Geometry: do the instances of a series make one regular volume, and on which grid.

A series is regular when all its instances have one orientation, one Pixel Spacing, one matrix, and positions that
are equally spaced along the normal of the slices (PS3.3 C.7.6.2.1.1). Anything else is a finding.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydicom.uid import UID, CTImageStorage

from operators.core.findings import Finding, FindingCode
from operators.core.reading import IDENTITY_KEYWORDS, PARSE_ERRORS, Instance, Series, attribute, read_value

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from numpy.typing import NDArray

T = TypeVar("T")

SAME_POSITION_MM = 0.01
"""Below this two positions are one: scanners write positions to a few micrometres."""
SPACING_TOLERANCE_MM = 0.02
SPACING_TOLERANCE_RATIO = 0.01
"""Gaps may differ by the larger of the two: rounding of positions in the header, not missing anatomy."""
SHEAR_TOLERANCE_DEG = 0.2
"""Angle between the line through the positions and the normal above which the stack counts as tilted."""
COSINE_TOLERANCE = 1e-4
"""Direction cosines of one orientation, written with four decimals or more."""
SPACING_EQUAL_MM = 1e-4
LARGEST_PIXEL_MM = 20.0
"""No CT has coarser pixels: a bore of 1 m would be 50 of them."""
RESCALE_LIMITS = {"RescaleSlope": (1e-4, 100.0), "RescaleIntercept": (-100_000.0, 100_000.0)}
"""Stored values have at most 16 bits, HU at most some ten thousand (metal, extended scale)."""


@dataclass(frozen=True, eq=False)
class Placement:
    """One instance in space.

    Attributes:
        instance: The instance.
        orientation: `(6,)`, direction cosines of row and column (0020,0037).
        position: `(3,)`, centre of the first voxel, mm in LPS (0020,0032).
        spacing: Distance between rows, between columns, mm (0028,0030).
        matrix: Rows and Columns.
    """

    instance: Instance
    orientation: NDArray[np.float64]
    position: NDArray[np.float64]
    spacing: tuple[float, float]
    matrix: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SeriesGeometry:
    """What is known of a series' grid.

    Attributes:
        series: The series.
        findings: Why it is no regular volume, or cannot be measured all the same; empty if it can.
        instances: The instances in the order of their positions along the normal; empty if they have no order.
        affine_lps: `(4, 4)` as in Volume, where the series is regular.
        shape: Slices, rows, columns, where the series is regular.
    """

    series: Series
    findings: tuple[Finding, ...]
    instances: tuple[Instance, ...] = ()
    affine_lps: NDArray[np.float64] | None = None
    shape: tuple[int, int, int] | None = None

    @property
    def regular(self) -> bool:
        """Whether all instances make exactly one regular volume, whatever else is wrong with them."""
        return self.affine_lps is not None

    @property
    def usable(self) -> bool:
        """Whether the volume may be measured: it is regular, and there is no finding."""
        return self.regular and not self.findings


@dataclass
class _Checks:
    findings: list[Finding] = field(default_factory=list)

    def add(self, code: FindingCode, message: str, instances: Iterable[Instance]) -> None:
        concerned = tuple(instances)
        uids, files = (i.uid for i in concerned if i.uid), (i.path.name for i in concerned if not i.uid)
        self.findings.append(Finding(code, message, tuple(uids), tuple(files)))


def examine(series: Series) -> SeriesGeometry:
    """Check a series and place its instances on a grid.

    Args:
        series: A series as read from a folder.

    Returns:
        The grid where the series is one regular volume, and the findings where it is not.
    """
    about_instances = _Checks()
    _check_identity(series, about_instances)
    _check_kind(series, about_instances)
    _check_rescale(series, about_instances)
    _check_one_source(series, about_instances)
    checks = _Checks()
    placements = _place(series, checks)
    if not placements:
        return SeriesGeometry(series, (*about_instances.findings, *checks.findings))
    _check_uniform(placements, checks)
    ordered, gaps = _order(placements)
    if len(placements) == len(series.instances):
        _check_gaps(ordered, gaps, checks)
        _check_shear(ordered, checks)
    instances = tuple(p.instance for p in ordered)
    findings = (*about_instances.findings, *checks.findings)
    if checks.findings:
        return SeriesGeometry(series, findings, instances)
    shape = (len(ordered), *ordered[0].matrix)
    return SeriesGeometry(series, findings, instances, _affine(ordered), shape)


def normal_of(orientation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal of the slices: row direction x column direction, a unit vector in LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return np.asarray(normal / np.linalg.norm(normal))


def _check_identity(series: Series, checks: _Checks) -> None:
    """Each instance says what it is and what it belongs to."""
    for keyword in (*IDENTITY_KEYWORDS, "FrameOfReferenceUID"):
        without = [i for i in series.instances if read_value(i.header, keyword) is None]
        # A frame of reference that only some instances lack is a mixture (_check_one_source).
        if without and (keyword in IDENTITY_KEYWORDS or len(without) == len(series.instances)):
            more = f" and {len(without) - 1} more" if len(without) > 1 else ""
            checks.add(
                FindingCode.MISSING_ATTRIBUTE,
                f"{attribute(keyword)} is absent or empty in {without[0].path.name}{more}; "
                "without it nothing says what an image belongs to: correct it at the source",
                without,
            )


def _check_kind(series: Series, checks: _Checks) -> None:
    """Single-frame monochrome CT only, no localizer among the images, no instance twice."""
    other = [i for i in series.instances if not _is_plain_ct(i)]
    if other:
        checks.add(
            FindingCode.UNSUPPORTED_OBJECT,
            f"{len(other)} of {len(series.instances)} instances are not single-frame monochrome CT images "
            f"(SOP Class {UID(other[0].header.get('SOPClassUID') or 'none').name})",
            other,
        )
    localizers = [i for i in series.instances if "LOCALIZER" in _image_type(i)]
    if localizers and len(localizers) < len(series.instances):
        checks.add(
            FindingCode.LOCALIZER,
            f"{len(localizers)} of {len(series.instances)} instances are localizers (ImageType); "
            "send them as a series of their own",
            localizers,
        )
    counts = Counter(i.uid for i in series.instances if i.uid)
    twice = [i for i in series.instances if counts[i.uid] > 1]
    if twice:
        checks.add(
            FindingCode.DUPLICATE_INSTANCE, f"{len(twice)} files share a SOP Instance UID with another file", twice
        )


def _is_plain_ct(instance: Instance) -> bool:
    header = instance.header
    return (
        (read_value(header, "SOPClassUID") or CTImageStorage) == CTImageStorage
        and str(read_value(header, "SamplesPerPixel") or 1) == "1"
        and str(read_value(header, "NumberOfFrames") or 1) == "1"
        and str(read_value(header, "PhotometricInterpretation") or "MONOCHROME2").startswith("MONOCHROME")
        and str(read_value(header, "RescaleType") or "HU") == "HU"
    )


def _image_type(instance: Instance) -> tuple[str, ...]:
    value = read_value(instance.header, "ImageType") or ()
    return (value,) if isinstance(value, str) else tuple(value)


def _check_one_source(series: Series, checks: _Checks) -> None:
    """One patient, one study, one frame of reference."""
    for code, keyword in (
        (FindingCode.MIXED_PATIENT, "PatientID"),
        (FindingCode.MIXED_STUDY, "StudyInstanceUID"),
        (FindingCode.MIXED_FRAME_OF_REFERENCE, "FrameOfReferenceUID"),
    ):
        minority = _minority(series.instances, lambda i, k=keyword: str(read_value(i.header, k) or ""))  # type: ignore[misc]
        if minority:
            checks.add(
                code,
                f"{attribute(keyword)} differs inside the series: {len(minority)} of {len(series.instances)} "
                "instances disagree with the others",
                minority,
            )


def _place(series: Series, checks: _Checks) -> list[Placement]:
    """The instances that say where they lie; a finding for those that do not."""
    placements: list[Placement] = []
    for instance in series.instances:
        placed = _placement(instance)
        if isinstance(placed, Placement):
            placements.append(placed)
        else:
            code, message = placed
            checks.add(code, f"{instance.path.name}: {message}", [instance])
    return placements


def _check_rescale(series: Series, checks: _Checks) -> None:
    """Stored values of CT become HU by two attributes of Type 1 (PS3.3 C.8.2.1.1)."""
    for instance in series.instances:
        if not _is_plain_ct(instance):
            continue
        for keyword in RESCALE_LIMITS:
            if (wrong := _rescale_problem(_numbers(instance.header, keyword), keyword)) is not None:
                checks.add(wrong[0], f"{instance.path.name}: {attribute(keyword)} {wrong[1]}", [instance])


def _rescale_problem(numbers: NDArray[np.float64] | None, keyword: str) -> tuple[FindingCode, str] | None:
    """Why stored values cannot become HU."""
    if numbers is None:
        return FindingCode.MISSING_ATTRIBUTE, "is absent or empty: stored values are no HU"
    low, high = RESCALE_LIMITS[keyword]
    if len(numbers) != 1 or not low <= numbers[0] <= high:
        return FindingCode.INVALID_ATTRIBUTE, f"is not one number between {low:g} and {high:g}"
    return None


def _placement(instance: Instance) -> Placement | tuple[FindingCode, str]:
    values: dict[str, NDArray[np.float64]] = {}
    for keyword, count in (
        ("ImageOrientationPatient", 6),
        ("ImagePositionPatient", 3),
        ("PixelSpacing", 2),
        ("Rows", 1),
        ("Columns", 1),
    ):
        numbers = _numbers(instance.header, keyword)
        if numbers is None:
            return FindingCode.MISSING_ATTRIBUTE, f"{attribute(keyword)} is absent or empty"
        if len(numbers) != count or not np.isfinite(numbers).all():
            return FindingCode.INVALID_ATTRIBUTE, f"{attribute(keyword)} is not {count} finite numbers"
        values[keyword] = numbers
    return _checked(instance, values)


def _checked(instance: Instance, values: dict[str, NDArray[np.float64]]) -> Placement | tuple[FindingCode, str]:
    orientation = values["ImageOrientationPatient"]
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-3) or abs(row @ column) > 1e-3:
        return FindingCode.INVALID_ATTRIBUTE, f"{attribute('ImageOrientationPatient')} is not orthonormal"
    if (values["PixelSpacing"] <= 0).any() or (values["PixelSpacing"] > LARGEST_PIXEL_MM).any():
        return (
            FindingCode.INVALID_ATTRIBUTE,
            f"{attribute('PixelSpacing')} is not above 0 and at most {LARGEST_PIXEL_MM:g} mm",
        )
    between_rows, between_columns = values["PixelSpacing"]
    return Placement(
        instance,
        orientation,
        values["ImagePositionPatient"],
        (float(between_rows), float(between_columns)),
        (int(values["Rows"][0]), int(values["Columns"][0])),
    )


def _numbers(header: Any, keyword: str) -> NDArray[np.float64] | None:  # noqa: ANN401 - pydicom values are untyped
    """The attribute's numbers; None where it is absent or empty, NaN where it is no number."""
    try:
        value = header.get(keyword)
        empty = value is None or value == "" or (hasattr(value, "__len__") and len(value) == 0)
        return None if empty else np.atleast_1d(np.asarray(value, dtype=np.float64))
    except PARSE_ERRORS:
        return np.array([np.nan])


def _check_uniform(placements: Sequence[Placement], checks: _Checks) -> None:
    """One orientation, one Pixel Spacing, one matrix."""
    for code, keyword, values, tolerance in (
        (
            FindingCode.MIXED_ORIENTATION,
            "ImageOrientationPatient",
            [p.orientation for p in placements],
            COSINE_TOLERANCE,
        ),
        (FindingCode.MIXED_SPACING, "PixelSpacing", [p.spacing for p in placements], SPACING_EQUAL_MM),
        (FindingCode.MIXED_MATRIX, "Rows", [p.matrix for p in placements], 0),
    ):
        minority = [placements[int(i)] for i in np.flatnonzero(_away(np.asarray(values, dtype=np.float64), tolerance))]
        if minority:
            shown = ", ".join(sorted({_shown(p, code) for p in placements}))
            checks.add(
                code,
                f"{attribute(keyword)} differs inside the series ({shown}): {len(minority)} of {len(placements)} "
                "instances disagree with the others",
                [p.instance for p in minority],
            )


def _away(values: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Which rows are farther than the tolerance from the most common row, `(n, m)` in, `(n,)` out."""
    rows, counts = np.unique(values, axis=0, return_counts=True)
    near = np.array([counts[np.abs(rows - row).max(axis=1) <= tolerance].sum() for row in rows])
    return np.asarray(np.abs(values - rows[near.argmax()]).max(axis=1) > tolerance)


def _shown(placement: Placement, code: FindingCode) -> str:
    if code is FindingCode.MIXED_ORIENTATION:
        return "\\".join(f"{v:g}" for v in placement.orientation)
    if code is FindingCode.MIXED_SPACING:
        return "\\".join(f"{v:g}" for v in placement.spacing)
    return "x".join(str(v) for v in placement.matrix)


def _minority(items: Sequence[T], key: Callable[[T], Hashable]) -> list[T]:
    """The items that do not share the most common key."""
    keys = [key(item) for item in items]
    common, _ = Counter(keys).most_common(1)[0]
    return [item for item, k in zip(items, keys, strict=True) if k != common]


def _order(placements: Sequence[Placement]) -> tuple[list[Placement], NDArray[np.float64]]:
    """Placements by position along the normal of the most common orientation, and the gaps between them in mm."""
    away = _away(np.asarray([p.orientation for p in placements]), COSINE_TOLERANCE)
    normal = normal_of(placements[int(np.flatnonzero(~away)[0])].orientation)
    ordered = sorted(placements, key=lambda p: (float(p.position @ normal), p.instance.uid))
    return ordered, np.diff([float(p.position @ normal) for p in ordered])


def _check_gaps(ordered: Sequence[Placement], gaps: NDArray[np.float64], checks: _Checks) -> None:
    """Positions are distinct and equally spaced."""
    same = np.flatnonzero(gaps < SAME_POSITION_MM)
    if same.size:
        concerned = sorted({int(i) for i in same} | {int(i) + 1 for i in same})
        checks.add(
            FindingCode.DUPLICATE_POSITION,
            f"{same.size} images lie where another one lies",
            [ordered[i].instance for i in concerned],
        )
    steps = gaps[gaps >= SAME_POSITION_MM]
    if steps.size == 0:
        checks.add(FindingCode.TOO_FEW_SLICES, "fewer than two positions make no volume", [p.instance for p in ordered])
        return
    _check_even(ordered, gaps, float(np.median(steps)), checks)


def _check_even(ordered: Sequence[Placement], gaps: NDArray[np.float64], step: float, checks: _Checks) -> None:
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_RATIO * step)
    uneven = np.flatnonzero((np.abs(gaps - step) > tolerance) & (gaps >= SAME_POSITION_MM))
    if not uneven.size:
        return
    multiples = gaps[uneven] / step
    missing = bool((np.round(multiples) >= 2).all()) and np.allclose(multiples, np.round(multiples), atol=0.05)
    around = [ordered[j].instance for i in uneven for j in (int(i), int(i) + 1)]
    if missing:
        count = int((np.round(multiples) - 1).sum())
        checks.add(
            FindingCode.MISSING_SLICES,
            f"{count} slices are missing in {uneven.size} gaps (step {step:g} mm, largest gap {gaps.max():g} mm); "
            "send the whole series again",
            around,
        )
    else:
        checks.add(
            FindingCode.VARIABLE_SPACING,
            f"the distance between slices varies from {gaps[gaps >= SAME_POSITION_MM].min():g} "
            f"to {gaps.max():g} mm (most are {step:g} mm)",
            around,
        )


def _check_shear(ordered: Sequence[Placement], checks: _Checks) -> None:
    """Each step from slice to slice runs along the normal."""
    if any(f.code is FindingCode.MIXED_ORIENTATION for f in checks.findings):
        return
    normal = normal_of(ordered[0].orientation)
    positions = np.asarray([p.position for p in ordered])
    whole = _angles(positions[-1:] - positions[:1], normal)
    steps = np.diff(positions, axis=0)
    # Positions are rounded in the header: over a step of 1 mm a micrometre is 0.06 degrees, so small steps may stray.
    strayed = np.linalg.norm(steps - np.outer(steps @ normal, normal), axis=1) > SPACING_TOLERANCE_MM
    angle = float(np.concatenate([whole, _angles(steps[strayed], normal)]).max(initial=0))
    if angle > SHEAR_TOLERANCE_DEG:
        checks.add(
            FindingCode.GANTRY_TILT,
            f"the slices are shifted against each other by up to {angle:.1f} degrees: a sheared stack (gantry tilt)",
            [p.instance for p in ordered],
        )


def _angles(steps: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between steps `(n, 3)` and the normal in degrees, of those that lead anywhere."""
    lengths = np.linalg.norm(steps, axis=1)
    moved = lengths >= SAME_POSITION_MM
    return np.asarray(np.degrees(np.arccos(np.clip(np.abs(steps[moved] @ normal) / lengths[moved], 0, 1))))


def _affine(ordered: Sequence[Placement]) -> NDArray[np.float64]:
    """`(4, 4)`: array index to mm in LPS (PS3.3 equation C.7.6.2.1-1, with the slice as first index)."""
    first, last = ordered[0], ordered[-1]
    between_rows, between_columns = first.spacing
    affine = np.eye(4)
    affine[:3, 0] = (last.position - first.position) / (len(ordered) - 1)
    affine[:3, 1] = first.orientation[3:] * between_rows
    affine[:3, 2] = first.orientation[:3] * between_columns
    affine[:3, 3] = first.position
    return affine
