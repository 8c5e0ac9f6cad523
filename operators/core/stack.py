"""Stack: do frames that belong together lie on one regular grid, and on which.

A grid is regular when positions are distinct and equally spaced along the normal of the slices (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from operators.core.findings import Finding, FindingCode
from operators.core.header import attribute
from operators.core.placement import Placement, normal_of
from operators.core.volume import SHEAR_TOLERANCE_DEG

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from operators.core.frames import Frame

SAME_POSITION_MM = 0.01
"""Below this two positions are one: scanners write positions to a few micrometres."""
SPACING_TOLERANCE_MM = 0.02
SPACING_TOLERANCE_RATIO = 0.01
"""Gaps may differ by the larger of the two: rounding of positions in the header, not missing anatomy."""
DRIFT_TOLERANCE_RATIO = 0.1
"""Share of a step that a slice may lie from its place on the grid."""
SPACING_EQUAL_MM = 1e-4


@dataclass(frozen=True, eq=False)
class Stack:
    """Frames in the order of their positions.

    Attributes:
        placements: Ordered along the normal.
        findings: Why they are no regular grid; empty if they are one.
        affine_lps: `(4, 4)` as in Volume, where positions are equally spaced; sheared where the stack is tilted.
        step_mm: Median distance along the normal between neighbours at different positions; None for one position.
    """

    placements: tuple[Placement, ...]
    findings: tuple[Finding, ...]
    affine_lps: NDArray[np.float64] | None
    step_mm: float | None


@dataclass
class Checks:
    """Findings as they are collected."""

    findings: list[Finding] = field(default_factory=list)

    def add(self, code: FindingCode, message: str, frames: Iterable[Frame]) -> None:
        """Add one, with the instances that it concerns, each once."""
        instances = list({frame.instance.path: frame.instance for frame in frames}.values())
        uids, files = (i.uid for i in instances if i.uid), (i.name for i in instances if not i.uid)
        self.findings.append(Finding(code, message, tuple(dict.fromkeys(uids)), tuple(files)))


def order(placements: Iterable[Placement]) -> list[Placement]:
    """Placements of one orientation by position along the normal of the first, then by UID and frame."""
    found = list(placements)
    normal = normal_of(found[0].orientation)
    return sorted(found, key=lambda p: (float(p.position @ normal), p.frame.instance.uid, p.frame.number))


def gaps_of(ordered: Sequence[Placement]) -> NDArray[np.float64]:
    """`(n - 1,)`: distances along the normal between neighbours, mm."""
    normal = normal_of(ordered[0].orientation)
    return np.diff([float(p.position @ normal) for p in ordered])


def build_stack(placements: Iterable[Placement]) -> Stack:
    """Check frames of one orientation and matrix, and put them on a grid.

    Args:
        placements: At least one, in any order.

    Returns:
        The stack, with findings where it is no regular grid.
    """
    ordered = order(placements)
    gaps, checks = gaps_of(ordered), Checks()
    _check_spacing(ordered, checks)
    _check_gaps(ordered, gaps, checks)
    on_grid = not checks.findings
    _check_shear(ordered, checks)
    if checks.findings:
        on_grid = on_grid and _steps_agree(ordered)
    steps = gaps[gaps >= SAME_POSITION_MM]
    step_mm = float(np.median(steps)) if steps.size else None
    return Stack(tuple(ordered), tuple(checks.findings), _affine(ordered) if on_grid else None, step_mm)


def is_even(placements: Iterable[Placement]) -> bool:
    """Whether frames make a regular grid of two slices or more."""
    return not build_stack(placements).findings


def _check_spacing(ordered: Sequence[Placement], checks: Checks) -> None:
    """One Pixel Spacing."""
    values = np.asarray([p.spacing for p in ordered])
    away = away_from_most(values, SPACING_EQUAL_MM)
    if away.any():
        shown = ", ".join(sorted({"\\".join(f"{v:g}" for v in p.spacing) for p in ordered}))
        checks.add(
            FindingCode.MIXED_SPACING,
            f"{attribute('PixelSpacing')} differs ({shown}): {int(away.sum())} of {len(ordered)} images disagree with "
            "the others",
            [ordered[int(i)].frame for i in np.flatnonzero(away)],
        )


def away_from_most(values: NDArray[np.float64], tolerance: float) -> NDArray[np.bool_]:
    """Which rows are farther than the tolerance from the most common row, `(n, m)` in, `(n,)` out."""
    rows, counts = np.unique(values, axis=0, return_counts=True)
    near = np.array([counts[np.abs(rows - row).max(axis=1) <= tolerance].sum() for row in rows])
    return np.asarray(np.abs(values - rows[near.argmax()]).max(axis=1) > tolerance)


def _check_gaps(ordered: Sequence[Placement], gaps: NDArray[np.float64], checks: Checks) -> None:
    """Positions are distinct and equally spaced."""
    same = np.flatnonzero(gaps < SAME_POSITION_MM)
    if same.size:
        concerned = sorted({int(i) for i in same} | {int(i) + 1 for i in same})
        checks.add(
            FindingCode.DUPLICATE_POSITION,
            f"{same.size} images lie where another one lies, and nothing in their headers tells them apart",
            [ordered[i].frame for i in concerned],
        )
    steps = gaps[gaps >= SAME_POSITION_MM]
    if steps.size == 0:
        checks.add(FindingCode.TOO_FEW_SLICES, "fewer than two positions make no volume", [p.frame for p in ordered])
        return
    _check_even(ordered, gaps, float(np.median(steps)), checks)


def _check_even(ordered: Sequence[Placement], gaps: NDArray[np.float64], step: float, checks: Checks) -> None:
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_RATIO * step)
    uneven = np.flatnonzero((np.abs(gaps - step) > tolerance) & (gaps >= SAME_POSITION_MM))
    if not uneven.size:
        _check_drift(ordered, gaps, checks)
        return
    multiples = gaps[uneven] / step
    missing = bool((np.round(multiples) >= 2).all()) and np.allclose(multiples, np.round(multiples), atol=0.05)
    around = [ordered[j].frame for i in uneven for j in (int(i), int(i) + 1)]
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


def _check_drift(ordered: Sequence[Placement], gaps: NDArray[np.float64], checks: Checks) -> None:
    """Small differences between gaps do not add up: every slice lies where equal steps put it."""
    if gaps.min() < SAME_POSITION_MM:
        return
    heights = np.concatenate([[0], np.cumsum(gaps)])
    drift = np.abs(heights - np.linspace(0, heights[-1], len(heights)))
    if drift.max() > DRIFT_TOLERANCE_RATIO * gaps.mean():
        checks.add(
            FindingCode.VARIABLE_SPACING,
            f"the distance between slices changes by little, but adds up: a slice lies {drift.max():.2f} mm from where "
            f"equal steps of {gaps.mean():g} mm put it",
            [ordered[int(drift.argmax())].frame],
        )


def _check_shear(ordered: Sequence[Placement], checks: Checks) -> None:
    """Each step from slice to slice runs along the normal."""
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
            [p.frame for p in ordered],
        )


def _angles(steps: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles between steps `(n, 3)` and the normal in degrees, of those that lead anywhere."""
    lengths = np.linalg.norm(steps, axis=1)
    moved = lengths >= SAME_POSITION_MM
    return np.asarray(np.degrees(np.arccos(np.clip(np.abs(steps[moved] @ normal) / lengths[moved], 0, 1))))


def _steps_agree(ordered: Sequence[Placement]) -> bool:
    """Whether a tilted stack is sheared evenly, so that an affine can say where it lies."""
    steps = np.diff(np.asarray([p.position for p in ordered]), axis=0)
    mean = steps.mean(axis=0)
    tolerance = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_RATIO * float(np.linalg.norm(mean)))
    return bool(np.linalg.norm(steps - mean, axis=1).max() <= tolerance)


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
