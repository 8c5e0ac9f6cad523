"""Pixel quantities: what the pixels of an axial CT of a body say of its scale, sharpness, size and order.

Each function measures one quantity, or gives None where the scan does not show it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from operators.qc.outline import IN_SLICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from operators.core.volume import Volume
    from operators.qc.outline import Outline

METAL_HU = 2500.0
"""Dense cortical bone and enamel end near 2000 HU, contrast medium in bowel and vessels far below; metal reaches the
top of the scale (3071 HU in 12 bits)."""
LOWEST_AIR_HU = -1024
"""The lowest value of 12 bits with the usual intercept; -2000 and -3024 are what scanners fill with, no air."""
SKIN_MM, LAYER_MM = 5.0, 25.0
"""The layer under the skin: deeper than the skin and its partial volume, less deep than ribs' marrow and lungs."""
PEAK_SHARE = 0.15
"""A peak of fat is at least so high as a share of the highest one: lean people have muscle close to the skin."""
PEAK_HALF_WIDTH_HU = 50.0
"""Fat and muscle lie 150 HU apart: this is less than halfway."""
PURE_SAMPLES = 30
"""With 40 HU of noise the median of so many is known to 9 HU (its standard error)."""
BETWEEN_HU = -25.0
"""Halfway between fat (-100) and muscle (50)."""
NOISE_LAG_MM = 3.0
"""Noise of a CT is correlated over about 2 mm; values further apart are independent of each other."""
NOISE_SPAN_HU = 300.0
"""Soft tissue with its noise; bone and gas lie beyond."""
DETAIL_SLICES = 6
EDGE_LOW_HU, EDGE_HIGH_HU = -775.0, -325.0
"""A quarter and three quarters of the step from air (-1000 HU) to fat (-100 HU)."""
FWHM_OF_QUARTERS = 2 * math.sqrt(2 * math.log(2)) / 1.349
"""Of an edge blurred by a Gaussian: its full width at half maximum over the distance of its quarters."""
EDGE_REACH_MM = 30.0
LIVER_HU = (20.0, 200.0)
"""Liver, enhanced or not; water and stool-like food lie below, contrast medium in bowel above."""
LIVER_RADIUS_MM = 35.0
"""Only the liver has room for such a ball beside the middle: spleen and kidneys are up to 60 mm thick."""
BESIDE_MM = 40.0
"""From the body's middle to the middle of the ball: the heart's lies nearer."""


def air_hu(outline: Outline) -> float | None:
    """Median HU of the air around the body.

    The most frequent value is left out where a fifth is left: outside of the scanned circle scanners write a constant.
    None where there is nothing but such a constant below LOWEST_AIR_HU, or hardly anything around the body.
    """
    values = outline.hu[outline.outside]
    if values.size < outline.hu.size * 0.01:
        return None
    whole = np.rint(values).astype(np.intp)
    constant = int(np.bincount(whole - whole.min()).argmax() + whole.min())
    measured = values[whole != constant]
    if measured.size > 0.2 * values.size:
        return float(np.median(measured))
    return float(constant) if constant >= LOWEST_AIR_HU else None


def fat_hu(outline: Outline, depth_mm: NDArray[np.float32], muscle: float | None) -> float | None:
    """HU of subcutaneous fat: the darkest peak of the layer under the skin, as the median around it in pure fat.

    Pure is a sample whose neighbours in the slice are fat or skin, too: beside muscle the blur mixes them. None where
    the peak is the muscle's or hardly anything in it is pure: fat of lean shanks is thinner than skin and samples are.
    """
    layer = (depth_mm > SKIN_MM) & (depth_mm < LAYER_MM)
    peaks = _peaks(outline.hu[layer])
    if not peaks or (muscle is not None and abs(min(peaks) - muscle) <= PEAK_HALF_WIDTH_HU):
        return None
    fat = (outline.hu <= min(peaks) + PEAK_HALF_WIDTH_HU) | (depth_mm <= SKIN_MM)
    pure = outline.hu[ndimage.binary_erosion(fat, IN_SLICE, border_value=1) & layer]
    return _median_around(pure, min(peaks)) if pure.size >= PURE_SAMPLES else None


def muscle_hu(outline: Outline, depth_mm: NDArray[np.float32]) -> float | None:
    """HU of muscle and organs: the highest peak inside the skin that is no fat, as the median around it.

    A peak that is alone is fat, in the very obese, or muscle, in the lean: whichever lies nearer.
    """
    values = outline.hu[depth_mm > SKIN_MM]
    peaks = _peaks(values)
    least = min(peaks) + 2 * PEAK_HALF_WIDTH_HU if len(peaks) > 1 else BETWEEN_HU
    brighter = [peak for peak in peaks if peak > least]
    return _median_around(values, max(brighter, key=lambda peak: peaks[peak])) if brighter else None


def _peaks(values: NDArray[np.float32]) -> dict[float, float]:
    """Peaks of the histogram of soft tissue, HU, with their heights."""
    counts, edges = np.histogram(values, bins=np.arange(-300.0, 405.0, 5.0))
    smooth = np.pad(ndimage.gaussian_filter1d(counts.astype(float), 2.0), 1)
    peaks = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > PEAK_SHARE * smooth.max())
    return {float(edges[index]) + 2.5: float(smooth[index + 1]) for index in np.flatnonzero(peaks)}


def _median_around(values: NDArray[np.float32], centre: float) -> float:
    return float(np.median(values[np.abs(values - centre) <= PEAK_HALF_WIDTH_HU]))


def top_hu(volume: Volume) -> float:
    """Highest value of the scan, padding left out."""
    return float(volume.array.max() if volume.padding is None else volume.array[~volume.padding].max(initial=0))


def metal_ml(volume: Volume) -> float:
    """Volume above METAL_HU, mL, padding left out."""
    metal = volume.array > METAL_HU
    if volume.padding is not None:
        metal &= ~volume.padding
    return int(np.count_nonzero(metal)) * volume.voxel_volume_mm3 / 1000.0


def noise_hu(volume: Volume, outline: Outline, depth_mm: NDArray[np.float32]) -> float | None:
    """Standard deviation of the noise in HU: 1.4826 times the median absolute difference over 3 mm, over root 2.

    The median is that of all soft tissue deeper than the skin, so that edges of organs count little (Christianson 2015
    takes the mode of local standard deviations for the same reason).
    """
    column_mm = outline.turn.apply_spacing(volume.spacing_mm)[2]
    lag = max(1, math.ceil(NOISE_LAG_MM / column_mm - 1e-6))
    found = []
    for place, plane in _detailed(volume, outline):
        inside = _enlarged(depth_mm[place] > SKIN_MM, outline.steps, plane.shape)
        left, right = plane[:, :-lag].astype(np.float32), plane[:, lag:].astype(np.float32)
        soft = inside[:, :-lag] & inside[:, lag:] & (np.abs(left) < NOISE_SPAN_HU) & (np.abs(right) < NOISE_SPAN_HU)
        found.append(np.abs(left - right)[soft])
    differences = np.concatenate(found)
    return 1.4826 * float(np.median(differences)) / math.sqrt(2) if differences.size > 1000 else None


def edge_mm(volume: Volume, outline: Outline) -> float | None:
    """Full width at half maximum of the blur across the skin, mm, on the sharpest of the body's four sides.

    Clothes and the table blur a side, and so does skin that the profile meets aslant: neither does on all sides.
    """
    _, row_mm, column_mm = outline.turn.apply_spacing(volume.spacing_mm)
    widths: dict[int, list[float]] = {0: [], 1: [], 2: [], 3: []}
    for place, plane in _detailed(volume, outline):
        body = outline.body[place]
        if not body.any():
            continue
        for turns, step_mm in enumerate((row_mm, column_mm, row_mm, column_mm)):
            side, mask = np.rot90(plane, turns), np.rot90(body, turns)
            step = (outline.steps[turns % 2], outline.steps[1 - turns % 2])
            widths[turns] += _quarter_widths(side, mask, step, step_mm)
    medians = [float(np.median(of_side)) for of_side in widths.values() if len(of_side) > DETAIL_SLICES]
    return FWHM_OF_QUARTERS * min(medians) if medians else None


def _quarter_widths(plane: NDArray[Any], body: NDArray[np.bool_], step: tuple[int, int], row_mm: float) -> list[float]:
    """Widths in mm between the quarters of the edge that columns near the body's middle meet from above."""
    occupied = np.flatnonzero(body.any(axis=0))
    middle, spread = int(occupied.mean()), max(1, occupied.size // 8)
    reach = math.ceil(EDGE_REACH_MM / row_mm)
    found = []
    for column in range(middle - spread, middle + spread + 1, max(1, spread // 3)):
        rows = np.flatnonzero(body[:, column])
        if rows.size == 0 or rows[0] * step[0] < reach:
            continue
        place = min(int(rows[0]) * step[0], plane.shape[0])
        profile = plane[place - reach : place + reach, min(column * step[1], plane.shape[1] - 1)].astype(float)
        if (width := _quarter_width(profile)) is not None:
            found.append(width * row_mm)
    return found


def _quarter_width(profile: NDArray[np.float64]) -> float | None:
    """Samples between the two quarters of the first rise from air to tissue."""
    high = int(np.argmax(profile > EDGE_HIGH_HU))
    low = high - 1
    while low > 0 and profile[low] > EDGE_LOW_HU:
        low -= 1
    if high < 1 or profile[low] > EDGE_LOW_HU:
        return None
    return _crossing(profile, high - 1, EDGE_HIGH_HU) - _crossing(profile, low, EDGE_LOW_HU)


def _crossing(profile: NDArray[np.float64], below: int, level: float) -> float:
    """Where a profile crosses a level between a sample and the next one."""
    return below + (level - float(profile[below])) / float(profile[below + 1] - profile[below])


def body_size_mm(outline: Outline) -> tuple[float, float] | None:
    """Depth and width of the body, mm: medians over the slices that show it."""
    sizes = [
        [np.ptp(np.flatnonzero(plane.any(axis=axis))) + 1 for axis in (1, 0)] for plane in outline.body if plane.any()
    ]
    if not sizes:
        return None
    depth, width = np.median(np.array(sizes), axis=0) * outline.spacing_mm[1:]
    return float(depth), float(width)


def liver_ratio(outline: Outline) -> float | None:
    """Radius of the largest ball of soft tissue on the patient's right over that on the left.

    The liver is on the right in all but one person in 10,000 (situs inversus): below 1 the array is mirrored. None
    where neither side has room for a ball that only a liver has.
    """
    smooth = ndimage.uniform_filter(outline.hu, (1, 3, 3))
    soft = outline.body & (smooth > LIVER_HU[0]) & (smooth < LIVER_HU[1])
    if soft.all() or not soft.any():
        return None
    radius = ndimage.distance_transform_edt(soft, sampling=outline.spacing_mm)
    columns = np.flatnonzero(outline.body.any(axis=(0, 1)))
    from_middle_mm = (np.arange(soft.shape[2]) - columns.mean()) * outline.spacing_mm[2]
    right = float(radius[:, :, from_middle_mm < -BESIDE_MM].max(initial=0))
    left = float(radius[:, :, from_middle_mm > BESIDE_MM].max(initial=0))
    return right / max(left, 1.0) if max(right, left) >= LIVER_RADIUS_MM else None


def _detailed(volume: Volume, outline: Outline) -> list[tuple[int, NDArray[Any]]]:
    """A few slices at full resolution, turned to back and left, with their places in the outline."""
    turned = outline.turn.apply(volume.array)
    places = np.unique(np.linspace(0, len(outline.indices) - 1, DETAIL_SLICES).round().astype(int))
    return [(int(place), turned[outline.indices[place]]) for place in places]


def _enlarged(mask: NDArray[np.bool_], steps: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """A coarse mask on the pixels that it was sampled from."""
    large = np.repeat(np.repeat(mask, steps[0], axis=0), steps[1], axis=1)
    return large[: shape[0], : shape[1]]
