"""QualityReport: may these numbers be used, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Verdict(StrEnum):
    """What a reader may do with the numbers."""

    PASS = "pass"  # noqa: S105 - a verdict, no password
    """Nothing was found that speaks against them."""
    CAUTION = "caution"
    """They are right only within the limits that the findings state."""
    HOLD = "hold"
    """They are held back: nobody gets them, and the findings say why (docs/decisions/0023)."""


class Severity(StrEnum):
    """What a finding asks for."""

    CAUTION = "caution"
    """The numbers go out with the finding beside them."""
    HOLD = "hold"
    """The finding goes out without the numbers."""


@dataclass(frozen=True)
class QualityFinding:
    """One finding about a result.

    Attributes:
        code: Stable name, snake case.
        message: What was found, what it means for the numbers, and what to do.
        severity: What it asks for.
    """

    code: str
    message: str
    severity: Severity = Severity.CAUTION


@dataclass(frozen=True)
class QualityReport:
    """The findings about a result.

    Attributes:
        findings: What speaks against the numbers.
        not_checked: What could not be checked and why, as sentences: no finding there is no proof that all is well.
        features: Numbers by which the scan can be told from others; a site's reference set is made of them.
    """

    findings: tuple[QualityFinding, ...]
    not_checked: tuple[str, ...] = ()
    features: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The worst that a finding asks for; pass where there is none."""
        severities = {finding.severity for finding in self.findings}
        if Severity.HOLD in severities:
            return Verdict.HOLD
        return Verdict.CAUTION if severities else Verdict.PASS

    @property
    def is_held(self) -> bool:
        """Whether the numbers are held back."""
        return self.verdict is Verdict.HOLD

    @classmethod
    def joined(cls, reports: Iterable[QualityReport]) -> QualityReport:
        """All that several reports say, in their order."""
        reports = tuple(reports)
        return cls(
            tuple(finding for report in reports for finding in report.findings),
            tuple(sentence for report in reports for sentence in report.not_checked),
            {name: value for report in reports for name, value in report.features.items()},
        )
