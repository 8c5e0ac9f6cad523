"""Cases: scans that an app must not measure in silence, each made of one that fits by a single defect.

What of them legs can have, too, and what they alone have, is `UNFIT_LEGS`.

Every function takes a generator and a scan that fits, and gives the defective one. Limits of the checks come from
physics, anatomy and literature (app.yaml); none was changed to catch one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mapnode.phantom import degrade
from tests.qc import scans

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator

    from tests.qc.scans import Scan

    Case = Callable[[Generator, Scan], Scan]

AIR_HU = -1000


def scaled_spacing(scan: Scan, factors: tuple[float, float, float]) -> Scan:
    """The same pixels with another spacing in the header."""
    affine = scan.affine_lps.copy()
    affine[:3, :3] *= factors
    return scan.but(affine_lps=affine)


def spacing_x2(rng: Generator, scan: Scan) -> Scan:
    """Pixel Spacing twice as large, or all three spacings."""
    return scaled_spacing(scan, (2, 2, 2) if rng.integers(2) else (1, 2, 2))


def spacing_x05(rng: Generator, scan: Scan) -> Scan:
    """Pixel Spacing half as large, or all three spacings."""
    return scaled_spacing(scan, (0.5, 0.5, 0.5) if rng.integers(2) else (1, 0.5, 0.5))


def anisotropy_swapped(rng: Generator, scan: Scan) -> Scan:
    """Pixels longer than wide said to be wider than long, or slices and columns exchanged."""
    if rng.integers(2):
        ratio = rng.uniform(1.25, 2)
        made = scan.another(rng, (3.0, 1.2 * ratio, 1.2))
        return scaled_spacing(made, (1, 1 / ratio, ratio))
    made = scan.another(rng, (4.0, 1.2, 1.2))
    return scaled_spacing(made, (1.2 / 4, 1, 4 / 1.2))


def shifted_100(rng: Generator, scan: Scan) -> Scan:
    """100 HU up or down; down, the scanner's lowest value cuts air off."""
    return scan.but(hu=np.clip(scan.hu.astype(int) + (100 if rng.integers(2) else -100), -1024, 3071))


def scaled_12(rng: Generator, scan: Scan) -> Scan:
    """Slope 1.2 in place of 1, or HU themselves 1.2 times as large, cut off at the scanner's lowest value."""
    if rng.integers(2):
        return scan.but(hu=(scan.hu + 1024.0) * 1.2 - 1024)
    return scan.but(hu=np.clip(scan.hu * 1.2, -1024, 3071))


def clipped_at_0(_rng: Generator, scan: Scan) -> Scan:
    """Signed values written as unsigned ones."""
    return scan.but(hu=np.maximum(scan.hu, 0))


def intercept_lost(_rng: Generator, scan: Scan) -> Scan:
    """Rescale Intercept 0 in place of -1024."""
    return scan.but(hu=scan.hu.astype(int) + 1024)


def metal(rng: Generator, scan: Scan) -> Scan:
    """A rod of 40 to 120 mm with streaks, somewhere in the middle of the body, or of the leg that is nearest."""
    slices, rows, columns = np.array(scan.hu.shape) // 2
    tissue = np.flatnonzero(scan.hu[slices, rows - 10 : rows + 10].mean(axis=0) > -500)
    columns = tissue[np.abs(tissue - columns).argmin()]
    middle = (scan.affine_lps @ [slices, rows, columns, 1])[:3]
    start = middle + rng.uniform(-40, 40, 3)
    direction = rng.normal(size=3)
    end = start + direction / np.linalg.norm(direction) * rng.uniform(40, 120)
    implant = degrade.Implant(tuple(start), tuple(end), radius_mm=float(rng.uniform(3, 9)))
    return scan.but(hu=degrade.add_metal(scan.hu, scan.affine_lps, implant))


def gantry_tilt(_rng: Generator, scan: Scan) -> Scan:
    """A gantry tilted by 15 degrees of which no attribute but position and orientation says anything."""
    hu, affine = degrade.tilt_gantry(scan.hu, scan.affine_lps, 15)
    return scan.but(hu=hu, affine_lps=affine)


def gantry_tilt_denied(_rng: Generator, scan: Scan) -> Scan:
    """The same with headers that say straight slices: nothing but the pixels knows."""
    return scan.but(hu=degrade.tilt_gantry(scan.hu, scan.affine_lps, 15)[0])


def cropped_side(rng: Generator, scan: Scan) -> Scan:
    """The image ends 10 to 25 % of the body before the body does, on one side."""
    columns = np.flatnonzero((scan.hu > -500).any(axis=(0, 1)))
    lost = int(np.ptp(columns) * rng.uniform(0.1, 0.25))
    if rng.integers(2):
        return scan.but(hu=scan.hu[:, :, : columns[-1] - lost])
    affine = scan.affine_lps.copy()
    first = columns[0] + lost
    affine[:3, 3] += affine[:3, 2] * first
    return scan.but(hu=scan.hu[:, :, first:], affine_lps=affine)


def half_missing(rng: Generator, scan: Scan) -> Scan:
    """A random half of the slices never arrived."""
    count = scan.hu.shape[0]
    return scan.but(keep=np.sort(rng.choice(count, count // 2, replace=False)))


def lower_half_missing(_rng: Generator, scan: Scan) -> Scan:
    """The first half of the slices never arrived."""
    return scan.but(keep=np.arange(scan.hu.shape[0] // 2, scan.hu.shape[0]))


def upper_half_missing(_rng: Generator, scan: Scan) -> Scan:
    """The second half of the slices never arrived."""
    return scan.but(keep=np.arange(scan.hu.shape[0] // 2))


def every_second_missing(_rng: Generator, scan: Scan) -> Scan:
    """Every second slice never arrived: an even grid is left."""
    return scan.but(keep=np.arange(0, scan.hu.shape[0], 2))


def mirrored(_rng: Generator, scan: Scan) -> Scan:
    """Columns backwards under a header that does not know."""
    return scan.but(hu=np.ascontiguousarray(scan.hu[:, :, ::-1]))


def mr_as_ct(rng: Generator, scan: Scan) -> Scan:
    """Signal of a T1-weighted MR, with a coil's shading, in a series that says CT."""
    signal = np.interp(scan.hu, [-1000, -500, -105, -50, 50, 150, 300, 700], [10, 30, 900, 500, 350, 300, 100, 40])
    shading = np.linspace(0.7, 1.3, scan.hu.shape[2])
    real, imaginary = rng.normal(0, 15, (2, *scan.hu.shape))
    return scan.but(hu=np.hypot(signal * shading + real, imaginary))


def head(rng: Generator, scan: Scan) -> Scan:
    """A head: scalp with fat, skull, brain with ventricles, airways, in a series that says what the fit one says."""
    spacing = float(rng.uniform(0.8, 1.5))
    affine = np.array([[0, 0, spacing, -125.0], [0, spacing, 0, -125.0], [3.0, 0, 0, -60.0], [0, 0, 0, 1]])
    z, y, x = np.meshgrid(
        -60 + 3.0 * np.arange(40), np.arange(-125, 125, spacing), np.arange(-125, 125, spacing), indexing="ij"
    )
    size = rng.uniform(0.95, 1.05)

    def inside(shrink: float) -> np.ndarray:
        half = np.array([110.0, 97.0, 77.0]) * size - shrink
        return (z / half[0]) ** 2 + (y / half[1]) ** 2 + (x / half[2]) ** 2 < 1

    hu = np.full(z.shape, AIR_HU)
    for shrink, value in ((0, 40), (2, -100), (6, 40), (8, 900), (15, 35)):
        hu[inside(shrink)] = value
    hu[(z**2 + (y + 10) ** 2 + (np.abs(x) - 15) ** 2 < 18**2) & inside(15)] = 8
    hu[((y + 70) ** 2 + x**2 + (z + 50) ** 2 < 20**2) & inside(8)] = AIR_HU
    noisy = degrade.add_noise(degrade.blur(hu.astype(np.int16), (3, spacing, spacing), 1.2), 8, int(rng.integers(99)))
    return scan.but(hu=noisy, affine_lps=affine, source="head phantom")


def trunk(rng: Generator, scan: Scan) -> Scan:
    """A trunk in a series that says leg."""
    return scans.phantom(rng).but(attributes=scan.attributes)


def child(rng: Generator, scan: Scan) -> Scan:
    """Legs of a child of about six years: 0.55 to 0.65 of an adult's in every direction."""
    affine = scan.affine_lps.copy()
    affine[:3] *= rng.uniform(0.55, 0.65)
    return scan.but(affine_lps=affine)


def saturated(rng: Generator, scan: Scan) -> Scan:
    """A window for viewing burnt in, at both ends or at the upper end alone."""
    return scan.but(hu=np.clip(scan.hu, -160 if rng.integers(2) else None, 240))


def noise_150(rng: Generator, scan: Scan) -> Scan:
    """White noise of 150 HU."""
    return scan.but(hu=degrade.add_noise(scan.hu, 150, int(rng.integers(1 << 31))))


def blur_6(_rng: Generator, scan: Scan) -> Scan:
    """A blur of 6 mm, full width at half maximum."""
    return scan.but(hu=degrade.blur(scan.hu, scan.spacing_mm, 6))


def thickness_10(rng: Generator, scan: Scan) -> Scan:
    """Slices of 10 mm, as their headers say."""
    made = scan.another(rng, (2.5, 1.3, 1.3))
    hu, affine = degrade.thicken(made.hu, made.affine_lps, 4)
    return made.but(hu=hu, affine_lps=affine)


def table_only(rng: Generator, scan: Scan) -> Scan:
    """A table, nobody on it."""
    made = scan.another(rng, (4.0, 1.8, 1.8))
    y = (made.affine_lps[1, 3] + made.affine_lps[1, 1] * np.arange(made.hu.shape[1]))[None, :, None]
    x = (made.affine_lps[0, 3] + made.affine_lps[0, 2] * np.arange(made.hu.shape[2]))[None, None, :]
    below = y - (150 - x**2 / 700)
    hu = np.where((np.abs(x) < 200) & (below >= 0) & (below < 6), 40, AIR_HU) + 0 * made.hu
    return made.but(hu=degrade.add_noise(hu.astype(np.int16), 15, int(rng.integers(99))))


def air_only(rng: Generator, scan: Scan) -> Scan:
    """Air with noise."""
    return scan.but(hu=degrade.add_noise(np.full(scan.hu.shape, AIR_HU, np.int16), 15, int(rng.integers(99))))


UNFIT: dict[str, Case] = {
    "spacing x2 in the header": spacing_x2,
    "spacing x0.5 in the header": spacing_x05,
    "anisotropy swapped": anisotropy_swapped,
    "HU shifted by 100": shifted_100,
    "HU scaled by 1.2": scaled_12,
    "HU clipped at 0": clipped_at_0,
    "intercept lost": intercept_lost,
    "metal implant": metal,
    "gantry tilt 15 degrees, unmarked": gantry_tilt,
    "gantry tilt 15 degrees, header says straight": gantry_tilt_denied,
    "body cropped on one side": cropped_side,
    "half the slices missing (any)": half_missing,
    "half the slices missing (lower)": lower_half_missing,
    "half the slices missing (upper)": upper_half_missing,
    "every second slice missing": every_second_missing,
    "left-right mirrored array": mirrored,
    "MR relabelled as CT": mr_as_ct,
    "another body region (head)": head,
    "contrast lost to saturation": saturated,
    "noise of 150 HU": noise_150,
    "blur of 6 mm": blur_6,
    "thickness 10 mm": thickness_10,
    "table without a patient": table_only,
    "air only": air_only,
}

UNFIT_LEGS: dict[str, Case] = {
    **{kind: case for kind, case in UNFIT.items() if case is not mirrored},
    "another body region (trunk)": trunk,
    "a child": child,
}
"""Two legs mirrored are two legs: nothing in them tells left from right."""
