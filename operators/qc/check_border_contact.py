"""CheckBorderContact: say which segments end only because the images end."""

from __future__ import annotations

from typing import ClassVar

from operators.core.border_contact import border_contacts
from operators.core.quality import QualityFinding, QualityReport
from operators.core.segmented_regions import SegmentedRegions
from operators.runtime.step import Step


class CheckBorderContact(Step):
    """Say which segments reach the border of the field of view: what lies beyond is in no number.

    Named Input:
        label_map: SegmentedRegions.

    Named Output:
        field_of_view_quality: QualityReport; caution for each segment that reaches the border.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map",)
    output: ClassVar[str] = "field_of_view_quality"

    def process(self, label_map: SegmentedRegions) -> QualityReport:
        """Look at the borders."""
        return check_border_contact(label_map)


def check_border_contact(regions: SegmentedRegions) -> QualityReport:
    """One finding for each segment that reaches the border of the images."""
    findings = []
    for region in regions.regions:
        if sides := border_contacts(region, regions.source_grid):
            message = (
                f"{region.segment.label}: reaches the border of the field of view ({', '.join(sides)}); volume, "
                "surface and diameters are those of the part inside."
            )
            findings.append(QualityFinding("touches_border", message))
    return QualityReport(tuple(findings))
