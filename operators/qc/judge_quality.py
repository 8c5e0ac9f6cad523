"""JudgeQuality: put the findings of all checks into one verdict."""

from __future__ import annotations

from typing import ClassVar

from operators.core.quality import QualityReport
from operators.runtime.step import Step

NOTHING_FOUND = QualityReport(())


class JudgeQuality(Step):
    """Put the findings of all checks together.

    Besides the ports below it takes a QualityReport on each port that the app names in `more_inputs`: one a check.

    Named Input:
        input_quality: QualityReport about the files.
        field_of_view_quality: QualityReport about the field of view; an app may have no such check.

    Named Output:
        quality: QualityReport with all findings; its verdict is the worst of theirs.
    """

    inputs: ClassVar[tuple[str, ...]] = ("input_quality", "field_of_view_quality")
    output: ClassVar[str] = "quality"

    def process(
        self,
        input_quality: QualityReport,
        field_of_view_quality: QualityReport = NOTHING_FOUND,
        **checks: QualityReport,
    ) -> QualityReport:
        """Join."""
        return QualityReport.joined((input_quality, field_of_view_quality, *checks.values()))
