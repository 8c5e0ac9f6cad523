"""CheckUnmeasured: say which segments were drawn and have no numbers."""

from __future__ import annotations

from typing import ClassVar

from operators.core.quality import QualityFinding, QualityReport
from operators.core.segmented_regions import SegmentedRegions
from operators.runtime.step import Step


class CheckUnmeasured(Step):
    """Say what was drawn and could not be measured: a report without its numbers is not complete.

    A segment that is empty because nothing was drawn asks for nothing: it is absent, and the report says so.

    Named Input:
        label_map: SegmentedRegions.

    Named Output:
        unmeasured_quality: QualityReport; caution for each such segment.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map",)
    output: ClassVar[str] = "unmeasured_quality"

    def process(self, label_map: SegmentedRegions) -> QualityReport:
        """Look for them."""
        return check_unmeasured(label_map)


def check_unmeasured(regions: SegmentedRegions) -> QualityReport:
    """One finding for each segment that was drawn and has no voxel."""
    return QualityReport(
        tuple(
            QualityFinding(
                "not_measured",
                f"{region.segment.label}: drawn, and not measured, because {region.unmeasured}; it has no number in "
                "this report and is not absent. Look at it in the segmentation.",
            )
            for region in regions.regions
            if region.unmeasured
        )
    )
