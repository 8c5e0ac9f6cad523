"""CheckLevels: say whose vertebrae the levels are, and which of them could not be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.label_map import LabelMap
from operators.core.levels import VERTEBRAE, Levels
from operators.core.quality import QualityFinding, QualityReport
from operators.core.vertebrae import vertebra_of
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

UNUSABLE = "vertebral_levels_unusable"


class CheckLevels(Step):
    """Say whose vertebrae the levels are, and which of them could not be used.

    Named Input:
        levels: Levels, read from what came with the images.
        label_map: LabelMap, whose landmarks they are; without them those of the engine's own vertebrae.

    Named Output:
        levels_quality: QualityReport; a caution for everything that was named as vertebrae and cannot be used.
    """

    inputs: ClassVar[tuple[str, ...]] = ("levels", "label_map")
    output: ClassVar[str] = "levels_quality"

    def process(self, levels: Levels, label_map: LabelMap) -> QualityReport:
        """Judge."""
        return check_levels(levels, label_map)


def check_levels(levels: Levels, label_map: LabelMap) -> QualityReport:
    """One finding for each thing that cannot be used; what nobody checked is said beside it."""
    findings = tuple(QualityFinding(UNUSABLE, f"Vertebral levels: {sentence}") for sentence in levels.unusable)
    own = () if levels.landmarks else tuple(_of_the_engine(label_map))
    return QualityReport(findings, (*_not_checked(levels), *own))


def _of_the_engine(label_map: LabelMap) -> Iterator[str]:
    """What is said of vertebrae among an engine's own segments."""
    known = [level for segment in label_map.segments if (level := vertebra_of(segment)) is not None]
    if not known:
        return
    if without := [VERTEBRAE[level].label for level in known if level not in label_map.landmarks]:
        yield (
            f"No level for {', '.join(without)}: {label_map.algorithm.name} did not find it, it reaches the first or "
            "the last slice, or the vertebrae do not follow each other from head to feet."
        )
    if len(without) < len(known):
        yield (
            f"Vertebral levels are those that {label_map.algorithm.name} finds; whether it numbers the vertebrae "
            "rightly was not checked."
        )


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
