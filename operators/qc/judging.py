"""Judging: measured quantities against the ranges of a manifest, as findings with sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.quality import QualityFinding, Severity
from operators.core.quality_limits import within

if TYPE_CHECKING:
    from operators.core.quality_limits import Bounds, Range


@dataclass(frozen=True)
class Sentence:
    """How a quantity is told.

    Attributes:
        what: Its name in a sentence, with an article.
        unit: Its unit, empty for a pure number.
        meaning: What a value outside of its range means for the numbers, and the way out.
        unmeasured: Why there is no value where it could not be measured.
    """

    what: str
    unit: str
    meaning: str
    unmeasured: str = "the scan shows too little for it"


def judge(code: str, value: float, limits: Range, sentence: Sentence) -> QualityFinding | None:
    """The finding that a value asks for; None where it is usual.

    Examples:
        >>> from operators.core.quality_limits import Range
        >>> air = Range(usual=(-1030, -950), possible=(-1060, -930))
        >>> judge("air_hu", -900.0, air, Sentence("Air", "HU", "HU are shifted.")).severity.value
        'hold'
    """
    if within(value, limits.usual):
        return None
    held = not within(value, limits.possible)
    bounds = limits.possible if held else limits.usual
    known = "possible" if held else "usual"
    unit = f" {sentence.unit}" if sentence.unit else ""
    number = f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    message = f"{sentence.what} is {number}{unit}, {known} is {_span(bounds)}{unit}: {sentence.meaning}"
    return QualityFinding(code, message, Severity.HOLD if held else Severity.CAUTION)


def _span(bounds: Bounds) -> str:
    low, high = bounds
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
