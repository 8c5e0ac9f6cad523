"""MeasureUptake: SUVpeak, metabolic tumour volume and total lesion glycolysis of every segment of a PET."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from operators.core import codes
from operators.core.header import read_text
from operators.core.measurements import Measurement, Quantity, SegmentMeasurements, rounded
from operators.core.segmented_regions import Grid, SegmentedRegions
from operators.core.volume import Volume
from operators.measure.intensities import SCALES, grid_of, values_in
from operators.runtime.step import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.segmented_regions import Box, Region

PEAK = SCALES["PT"].quantity("peak", codes.PEAK)
PEAK_RADIUS_MM = 10 * (3 / (4 * math.pi)) ** (1 / 3)
"""A sphere of 1 cm3 has a radius of 6.2 mm."""
ROUNDING = 2.0**-21
"""Relative: SUV is float32, and so is the maximum that a threshold is a part of. A voxel of 410 is 41 % of 1000,
whatever the factor to SUV makes of both."""


@dataclass(frozen=True)
class MeasureUptakeParameters:
    """From which uptake on a voxel counts as tumour.

    Attributes:
        fraction_of_max: Part of the segment's SUVmax: 0.41 is what EANM's guideline names (Boellaard et al. 2015).
        suv: A fixed SUVbw instead, such as 4.0; None where the fraction holds.
    """

    fraction_of_max: float = 0.41
    suv: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.fraction_of_max <= 1:
            raise ValueError(f"fraction_of_max is {self.fraction_of_max:g}; it lies between 0 and 1")
        if self.suv is not None and not self.suv >= 0:
            raise ValueError(f"suv is {self.suv:g}; it is 0 or more")

    @property
    def words(self) -> str:
        """The threshold, as the report says it."""
        return (
            f"SUVbw >= {self.suv:g} g/mL" if self.suv is not None else f"SUVbw >= {self.fraction_of_max:.0%} of SUVmax"
        )


class MeasureUptake(Step):
    """Measure SUVpeak, MTV and TLG of every segment of a PET; of other images nothing.

    - peak_suvbw: the highest mean SUVbw in a sphere of 1 cm3 (radius 6.2 mm) around any voxel of the segment (PERCIST,
      Wahl et al. 2009; IBSI 0F91): the mean of the image's voxels whose centres lie in the sphere, in the segment or
      not, as far as the image reaches, padding left out;
    - mtv_ml = voxels of the segment at or above the threshold x voxel volume of the image / 1000;
    - tlg_g = mtv_ml x mean SUVbw of these voxels.

    Named Input:
        values: Volume in SUVbw.
        label_map: SegmentedRegions.

    Named Output:
        uptake: tuple of SegmentMeasurements, one a segment.
    """

    inputs: ClassVar[tuple[str, ...]] = ("values", "label_map")
    output: ClassVar[str] = "uptake"

    def process(self, values: Volume, label_map: SegmentedRegions) -> tuple[SegmentMeasurements, ...]:
        """Measure."""
        parameters: MeasureUptakeParameters = self.parameters or MeasureUptakeParameters()
        return measure_uptake(values, label_map, parameters)


def measure_uptake(
    volume: Volume, regions: SegmentedRegions, parameters: MeasureUptakeParameters
) -> tuple[SegmentMeasurements, ...]:
    """SUVpeak, MTV and TLG of each region of a PET in SUVbw."""
    is_pet = read_text(volume.slices[0].header, "Modality") == "PT"
    return tuple(
        SegmentMeasurements(
            region.segment.name, region.voxels, tuple(_measure(volume, region, parameters)) if is_pet else ()
        )
        for region in regions.regions
    )


def _measure(volume: Volume, region: Region, parameters: MeasureUptakeParameters) -> list[Measurement]:
    suv = values_in(region, volume).astype(np.float64)
    if not suv.size:
        return []
    tumour = suv[suv >= _threshold(suv, parameters) * (1 - ROUNDING)]
    mtv_ml = tumour.size * volume.voxel_volume_mm3 / 1000
    tlg_g = mtv_ml * float(tumour.mean()) if tumour.size else 0.0
    peak = suv_peak(volume.array, region.on(grid_of(volume)), grid_of(volume), volume.padding)
    return [
        Measurement(PEAK, rounded(peak)),
        Measurement(_metabolic_volume(parameters), rounded(mtv_ml)),
        Measurement(_glycolysis(parameters), rounded(tlg_g)),
    ]


def _threshold(suv: NDArray[np.float64], parameters: MeasureUptakeParameters) -> float:
    """From which SUV on a voxel counts; where no voxel has any uptake none is a part of it, and none counts."""
    if parameters.suv is not None:
        return parameters.suv
    highest = float(suv.max())
    return parameters.fraction_of_max * highest if highest > 0 else math.inf


def _metabolic_volume(parameters: MeasureUptakeParameters) -> Quantity:
    definition = f"volume of the voxels of the segment with {parameters.words}"
    return Quantity("mtv_ml", "mL", codes.METABOLIC_VOLUME, codes.CUBIC_CENTIMETRE, definition=definition)


def _glycolysis(parameters: MeasureUptakeParameters) -> Quantity:
    definition = f"metabolic volume x mean SUVbw of the voxels of the segment with {parameters.words}"
    return Quantity("tlg_g", "g", codes.TOTAL_LESION_GLYCOLYSIS, codes.GRAM, definition=definition)


def suv_peak(suv: NDArray[np.generic], box: Box, grid: Grid, padding: NDArray[np.bool_] | None = None) -> float:
    """The highest mean in a sphere of 1 cm3 around any voxel of a mask.

    Args:
        suv: `(slices, rows, columns)`, the whole image.
        box: The mask on the image's grid, not empty.
        grid: The image's grid.
        padding: As in Volume; some voxel of the mask is none.

    Returns:
        The mean, of the voxels whose centres lie in the sphere and in the image, padding left out.
    """
    offsets = _sphere(grid)
    reach = np.abs(offsets).max(axis=0)
    low = np.maximum(np.array(box.corner) - reach, 0)
    high = np.minimum(np.array(box.corner) + box.mask.shape + reach, suv.shape)
    within = tuple(map(slice, low, high))
    measured = np.ones(suv[within].shape, bool) if padding is None else ~padding[within]
    before = reach - (np.array(box.corner) - low)
    after = reach - (high - np.array(box.corner) - box.mask.shape)
    margins = list(zip(before, after, strict=True))
    padded, counted = np.pad(np.where(measured, suv[within], 0.0), margins), np.pad(measured, margins)
    total, count = np.zeros(box.mask.shape), np.zeros(box.mask.shape)
    for offset in offsets + reach:
        there = tuple(slice(o, o + n) for o, n in zip(offset, box.mask.shape, strict=True))
        total += padded[there]
        count += counted[there]
    centres = box.mask if padding is None else box.mask & ~padding[box.slices]
    return float((total[centres] / count[centres]).max())


def _sphere(grid: Grid) -> NDArray[np.int64]:
    """`(voxels, 3)`: from a voxel to those whose centres lie in the sphere around its centre."""
    reach = [math.floor(PEAK_RADIUS_MM / spacing) for spacing in grid.spacing_mm]
    axes = [np.arange(-n, n + 1) for n in reach]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distances = np.linalg.norm(offsets @ grid.affine_lps[:3, :3].T, axis=1)
    return np.asarray(offsets[distances <= PEAK_RADIUS_MM])
