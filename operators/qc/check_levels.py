"""CheckLevels: say whose vertebrae the levels are, and which of them could not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.levels import VERTEBRAE, Levels
from operators.core.quality import QualityFinding, QualityReport
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

UNUSABLE = "vertebral_levels_unusable"


class CheckLevels(Step):
    """Say whose vertebrae the levels are, and which of them could not be used.

    Named Input:
        levels: Levels.

    Named Output:
        levels_quality: QualityReport; a caution for everything that was named as vertebrae and cannot be used.
    """

    inputs: ClassVar[tuple[str, ...]] = ("levels",)
    output: ClassVar[str] = "levels_quality"

    def process(self, levels: Levels) -> QualityReport:
        """Judge."""
        return check_levels(levels)


def check_levels(levels: Levels) -> QualityReport:
    """One finding for each thing that cannot be used; what nobody checked is said beside it."""
    findings = tuple(QualityFinding(UNUSABLE, f"Vertebral levels: {sentence}") for sentence in levels.unusable)
    return QualityReport(findings, tuple(_not_checked(levels)))


def _not_checked(levels: Levels) -> Iterator[str]:
    if levels.landmarks:
        sources = ", ".join(f"Segmentation {uid}" for uid in levels.sources)
        yield (
            f"Vertebral levels are taken from {sources}, which came with the images; whether it numbers the vertebrae "
            "rightly was not checked."
        )
    if levels.cut:
        labels = ", ".join(VERTEBRAE[level].label for level in levels.cut)
        yield f"No level for {labels}: a vertebra that reaches the first or the last slice may be cut off."
