"""QualityReport: may these numbers be used, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a reader may do with the numbers."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    """Nothing was found that speaks against them."""
    CAUTION = "caution"
    """They are right only within the limits that the findings state."""


@dataclass(frozen=True)
class QualityFinding:
    """One finding about a result.

    Attributes:
        code: Stable name, snake case.
        message: What was found and what it means for the numbers.
    """

    code: str
    message: str


@dataclass(frozen=True)
class QualityReport:
    """The findings about a result; each finding asks for caution."""

    findings: tuple[QualityFinding, ...]

    @property
    def verdict(self) -> Verdict:
        """Caution as soon as there is a finding."""
        return Verdict.CAUTION if self.findings else Verdict.PASS
