"""CheckBorderContact: say which segments end only because the images end."""

from __future__ import annotations

from typing import ClassVar

from operators.core.border_contact import field_contacts
from operators.core.quality import QualityFinding, QualityReport
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.runtime.step import Step


class CheckBorderContact(Step):
    """Say which segments reach the border of the field of view: what lies beyond is in no number.

    The field of view ends at the border of the images, at padding, and at the circle that the scanner reconstructed.

    Named Input:
        volume: Volume.
        label_map: SegmentedRegions.

    Named Output:
        field_of_view_quality: QualityReport; caution for each segment that reaches the border.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map")
    output: ClassVar[str] = "field_of_view_quality"

    def process(self, volume: Volume, label_map: SegmentedRegions) -> QualityReport:
        """Look at the borders."""
        return check_border_contact(volume, label_map)


def check_border_contact(volume: Volume, regions: SegmentedRegions) -> QualityReport:
    """One finding for each segment that reaches the border of the images."""
    findings = []
    for region in regions.regions:
        if sides := field_contacts(region, volume):
            message = (
                f"{region.segment.label}: reaches the border of the field of view ({', '.join(sides)}); volume, "
                "surface and diameters are those of the part inside."
            )
            findings.append(QualityFinding("touches_border", message))
    return QualityReport(tuple(findings))
