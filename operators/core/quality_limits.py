"""Quality limits: what an app's manifest says of the inputs and results that its numbers can be trusted on."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Bounds = tuple[float | None, float | None]
"""Lowest and highest value that is still inside; None where there is no such limit."""


class InputQuantity(StrEnum):
    """What is measured on a volume before its numbers are believed (operators/qc/input_quantities.py)."""

    SLICE_THICKNESS_MM = "slice_thickness_mm"
    """Slice Thickness (0018,0050)."""
    SLICE_STEP = "slice_step"
    """Distance of the slices' positions over Slice Thickness: above 1 there is tissue between slices."""
    UNSEEN_INSTANCES = "unseen_instances"
    """Instance Numbers (0020,0013) from 1 to the highest that are not there."""
    PATIENT_AGE_YEARS = "patient_age_years"
    """Patient's Age (0010,1010)."""
    AIR_HU = "air_hu"
    """Median around the body."""
    FAT_HU = "fat_hu"
    """Darkest peak of the histogram of the layer under the skin."""
    MUSCLE_HU = "muscle_hu"
    """Highest peak of the histogram of all soft tissue that is brighter than fat."""
    TOP_HU = "top_hu"
    """Highest value."""
    METAL_ML = "metal_ml"
    """Volume above METAL_HU."""
    NOISE_HU = "noise_hu"
    """Standard deviation of the noise in soft tissue."""
    EDGE_MM = "edge_mm"
    """Full width at half maximum of the blur, in the slice, at the sharpest side of the skin."""
    BODY_DIAMETER_MM = "body_diameter_mm"
    """Effective diameter of the trunk, or of both legs together: the root of their width times their depth."""
    BODY_ASPECT = "body_aspect"
    """Their width over their depth."""
    LIMB_BONE_ML = "limb_bone_ml"
    """Bone in parts of the body that are narrower than a trunk: of arms that touch it."""
    LIVER_RATIO = "liver_ratio"
    """Largest ball of soft tissue on the patient's right over that on the left."""


class Range(BaseModel):
    """Where a value is usual, and where it is possible at all.

    A value that is not usual asks for caution; one that is not possible holds the numbers back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    usual: Bounds
    possible: Bounds = (None, None)

    @model_validator(mode="after")
    def _require_nesting(self) -> Self:
        for low, high in (self.usual, self.possible):
            if low is not None and high is not None and low > high:
                raise ValueError(f"a range runs from low to high, not from {low:g} to {high:g}")
        if self.usual == (None, None):
            raise ValueError("a range needs a usual lowest or highest value")
        if not all(edge is None or within(edge, self.possible) for edge in self.usual):
            raise ValueError(f"what is usual, {self.usual}, has to be possible, {self.possible}")
        return self


def within(value: float, bounds: Bounds) -> bool:
    """Whether a value lies inside of bounds, their ends included.

    Examples:
        >>> within(3, (None, 3)), within(2, (2.5, None))
        (True, False)
    """
    low, high = bounds
    return (low is None or value >= low) and (high is None or value <= high)


class SegmentLimits(BaseModel):
    """What a segment of a result has to look like."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume_ml: Range | None = None
    """Its volume."""
    share_of: str | None = None
    """Another segment, of which it is a share."""
    share: Range | None = None
    """That share of the volumes."""
    mean_hu: Range | None = None
    """Its mean attenuation."""
    components: Range | None = None
    """Number of pieces that are not crumbs."""
    right_left: Range | None = None
    """Volume right of the body's middle over that left of it."""
    inscribed_mm: Range | None = None
    """Radius of the largest disc in it, in the slice, near the body's middle: of the bone, the vertebral body."""
    narrowest_mm: Range | None = None
    """Radius of the largest disc in it, in the slice, where that is smallest: of a leg's bone, the shaft."""
    outline_aspect: Range | None = None
    """Width over depth of its outline in the slice: of a leg's subcutaneous fat, the leg's."""
    enclosed_by: str | None = None
    """Another segment, which must not enclose it: visceral fat no bone."""
    enclosed_share: Range | None = None
    """Share of it in pieces that lie within that segment."""
    border_slices: Range | None = None
    """Number of slices in which it meets the border of the image."""
    exploratory: str | None = None
    """Why its numbers are exploratory, as a sentence; every result says so."""

    @model_validator(mode="after")
    def _require_both(self) -> Self:
        if (self.share is None) != (self.share_of is None):
            raise ValueError("share and share_of come together")
        if (self.enclosed_share is None) != (self.enclosed_by is None):
            raise ValueError("enclosed_share and enclosed_by come together")
        return self


class QualityLimits(BaseModel):
    """Limits of an app; what is not named is not judged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: dict[InputQuantity, Range] = Field(default_factory=dict)
    segments: dict[str, SegmentLimits] = Field(default_factory=dict)
    """By name of the segment."""
