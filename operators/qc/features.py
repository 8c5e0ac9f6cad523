"""Features: a scan and its segmentation in some thirty numbers of intensity, texture and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.measurements import SegmentMeasurements
    from operators.core.quality_limits import InputQuantity
    from operators.core.segmented_regions import SegmentedRegions
    from operators.core.volume import Volume

FEATURE_QUANTITIES = (
    "slice_thickness_mm", "air_hu", "fat_hu", "noise_hu", "edge_mm", "body_diameter_mm", "body_aspect",
)  # fmt: skip
"""Input quantities that vary smoothly from scan to scan."""
PERCENTILES = (5, 25, 50, 75, 95)
SAMPLE_MM = 4.0
SLICE_MM = 10.0
LAGS_MM = (4.0, 8.0)
"""Texture: how much values differ at these distances; organs, fat and muscle have their own."""


def features_of(
    volume: Volume,
    label_map: LabelMap | SegmentedRegions,
    measurements: tuple[SegmentMeasurements, ...],
    quantities: Mapping[InputQuantity, float | None],
) -> dict[str, float | None]:
    """The features of a scan.

    Args:
        volume: The scan.
        label_map: Its segments, or the regions that somebody else segmented.
        measurements: Their volumes, means and standard deviations.
        quantities: What was measured on the scan itself.

    Returns:
        By name: input quantities; percentiles in HU, and mean absolute differences at LAGS_MM, over all labelled
        voxels; of each segment its share of the largest one's volume, mean and SD. None where a scan does not show it.
    """
    known = {str(name): value for name, value in quantities.items()}
    return {
        **{name: known.get(name) for name in FEATURE_QUANTITIES},
        **_intensities(volume, label_map),
        **_shares(measurements),
    }


def _intensities(volume: Volume, label_map: LabelMap | SegmentedRegions) -> dict[str, float | None]:
    steps = [
        max(1, round(mm / step)) for mm, step in zip((SLICE_MM, SAMPLE_MM, SAMPLE_MM), volume.spacing_mm, strict=True)
    ]
    take = tuple(slice(step // 2, None, step) for step in steps)
    values, inside = volume.array[take].astype(np.float32), label_map.inside[take]
    found: dict[str, float | None] = {
        f"hu_p{percentile}": float(np.percentile(values[inside], percentile)) if inside.any() else None
        for percentile in PERCENTILES
    }
    column_mm = volume.spacing_mm[2] * steps[2]
    return found | {
        f"texture_{lag_mm:g}mm": _texture(values, inside, max(1, round(lag_mm / column_mm))) for lag_mm in LAGS_MM
    }


def _texture(values: NDArray[np.float32], inside: NDArray[np.bool_], lag: int) -> float | None:
    """Mean absolute difference in HU along the columns' axis, both ends inside."""
    both = inside[:, :, lag:] & inside[:, :, :-lag]
    return float(np.abs(values[:, :, lag:] - values[:, :, :-lag])[both].mean()) if both.any() else None


def _shares(measurements: tuple[SegmentMeasurements, ...]) -> dict[str, float | None]:
    numbers = {m.segment_name: {v.quantity.name: v.value for v in m.values} for m in measurements}
    largest = max((values.get("volume_ml", 0.0) for values in numbers.values()), default=0.0)
    found: dict[str, float | None] = {}
    for name, values in numbers.items():
        found[f"{name}_share"] = values.get("volume_ml", 0.0) / largest if largest else None
        found[f"{name}_mean_hu"] = values.get("mean_hu")
        found[f"{name}_sd_hu"] = values.get("sd_hu")
    return found
