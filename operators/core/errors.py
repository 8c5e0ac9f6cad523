"""The errors of operators, as a tree.

OperatorError                a step could not do its work (exit code 1 unless a child says otherwise)
├── InputRefused             the input is not fit to be measured; it carries the findings (exit code 3)
├── NotApplicable            the app has nothing to do on this input: a normal end (exit code 4)
├── SegmentationError        an engine could not segment a volume
├── GeometryError            a result does not lie on the grid of its source
├── ModelError               there is no model, or it is not what its format says
├── TimeBudgetExceeded       a network needs longer than its settings allow
├── RunCancelled             whoever asked for the run does not want it any more
└── OperatorFailed           any other exception of an operator, with the operator's name
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operators.core.findings import Finding


class OperatorError(Exception):
    """A step could not do its work."""


class InputRefused(OperatorError):
    """The input is not fit to be measured.

    Attributes:
        findings: What is wrong, each with the instances or files concerned.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(finding.sentence for finding in self.findings))


class NotApplicable(OperatorError):
    """The app has nothing to do on this input: a normal end, not a failure.

    Attributes:
        reasons: One sentence a series, or one for the whole input.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


class SegmentationError(OperatorError):
    """An engine could not segment a volume."""


class GeometryError(OperatorError):
    """A result does not lie on the grid of its source."""


class ModelError(OperatorError):
    """There is no model where one is needed, or it is not what its format says."""


class TimeBudgetExceeded(OperatorError):
    """A network needs longer than its settings allow.

    Attributes:
        budget_s: What the settings allow, in seconds.
        expected_s: What the whole volume would take, by the pace so far.
    """

    def __init__(self, budget_s: float, expected_s: float) -> None:
        self.budget_s, self.expected_s = budget_s, expected_s
        super().__init__(
            f"the network would take about {expected_s:.0f} s, its time budget is {budget_s:g} s; "
            "raise time_budget_s, turn mirroring off, lower tile_overlap, or use a GPU"
        )


class RunCancelled(OperatorError):
    """Whoever asked for the run does not want it any more."""


class OperatorFailed(OperatorError):
    """An operator ended with an exception that it did not foresee.

    Attributes:
        operator: The operator's name in the application.
    """

    def __init__(self, operator: str, cause: BaseException) -> None:
        self.operator = operator
        super().__init__(f"operator {operator} failed: {type(cause).__name__}: {without_values(str(cause))}")


def without_values(text: str) -> str:
    r"""The first line of a foreign message without what it quotes: libraries quote the values of attributes.

    Examples:
        >>> without_values("Unable to convert 'Doe^Jane' to 'DA' object\nmore")
        "Unable to convert '...' to '...' object"
    """
    lines = text.splitlines() or [""]
    return re.sub(r"(['\"]).*?\1", r"\1...\1", lines[0])
