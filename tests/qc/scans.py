"""Scans: bases that fit an app, drawn by seed: digital trunks and legs, and stacks of one real patient's trunk."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, degrade, write_ct_series
from mapnode.phantom.legs import build_leg_phantom, random_leg_parameters
from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.random import Generator
    from numpy.typing import NDArray

DATA = Path(__file__).parents[3] / "shared" / "data"
REAL_SERIES = DATA / "ct_totalseg_nifti_full"
"""One patient from hip to diaphragm at 3 mm, with a metal implant in the hip."""
FIRST_WHOLE_SLICE = 77
"""Above its iliac crest (slice 61) and its implant; below, the image cuts the body's sides off."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT before it is written.

    Attributes:
        hu: `(slices, rows, columns)`.
        affine_lps: What the headers will say of the grid, whatever the truth is.
        source: Where it is from.
        another: Draws a phantom of the same body region with another spacing.
        keep: Indices of the slices that are written; all where None.
        attributes: What the headers say besides.
    """

    hu: NDArray[Any]
    affine_lps: NDArray[np.float64]
    source: str
    another: Callable[[Generator, tuple[float, float, float]], Scan]
    keep: NDArray[np.intp] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between slices, rows, columns."""
        slices, rows, columns = np.linalg.norm(self.affine_lps[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)

    def but(self, **changes: Any) -> Scan:
        """The same with something else."""
        return dataclasses.replace(self, **changes)

    def write(self, folder: Path) -> None:
        """Write it as a CT series."""
        hu = np.clip(np.rint(self.hu), -8192, 8191)
        paths = write_ct_series(hu, self.affine_lps, folder, uid_seed="qc case", attributes=self.attributes)
        kept = set(range(len(paths)) if self.keep is None else self.keep.tolist())
        for index, path in enumerate(paths):
            if index not in kept:
                path.unlink()


def phantom(rng: Generator, spacing_mm: tuple[float, float, float] | None = None, **parameters: Any) -> Scan:
    """The trunk phantom of an adult between 0.88 and 1.12 of its size, with noise and blur of a usual scan."""
    size = rng.uniform(0.88, 1.12)
    pixel = rng.uniform(1.5, 2.1)
    spacing_mm = spacing_mm or (float(rng.uniform(3.5, 5.0)), pixel, pixel)
    own = tuple(step / size for step in spacing_mm)
    slices = int(130.0 / spacing_mm[0])
    built = build_trunk_phantom(
        TrunkPhantomParameters(
            slices=slices,
            spacing_mm=own,
            centre_z_mm=float(rng.uniform(0, 60)),
            table=bool(rng.integers(2)),
            **parameters,
        )
    )
    # A larger body is the same one, sampled on a finer grid that is said to be coarser.
    affine = built.affine_lps.copy()
    affine[:3] *= size
    sharp = degrade.blur(built.hu, spacing_mm, float(rng.uniform(0.8, 2.0)))
    noisy = degrade.add_noise(sharp, float(rng.uniform(5, 30)), int(rng.integers(1 << 31)))
    return Scan(noisy, affine, f"phantom x{size:.2f}", phantom)


LEG = {"BodyPartExamined": "LEG"}


def legs(rng: Generator, spacing_mm: tuple[float, float, float] | None = None) -> Scan:
    """150 to 300 mm of both legs of an adult, from above the ankles to the groins, as a usual scan shows them."""
    pixel = rng.uniform(1.5, 2.1)
    spacing_mm = spacing_mm or (float(rng.uniform(3.5, 5.0)), pixel, pixel)
    whole = random_leg_parameters(rng, spacing_mm[0])
    low, high = -whole.left.tibia_length_mm + 20, whole.left.femur_z_mm[1] - 40
    length = float(rng.uniform(150, 300))
    built = build_leg_phantom(
        dataclasses.replace(
            whole,
            spacing_mm=spacing_mm,
            slices=int(length / spacing_mm[0]),
            centre_z_mm=float(rng.uniform(low + length / 2, high - length / 2)),
            table=bool(rng.integers(2)),
        )
    )
    sharp = degrade.blur(built.hu, spacing_mm, float(rng.uniform(0.8, 2.0)))
    noisy = degrade.add_noise(sharp, float(rng.uniform(5, 30)), int(rng.integers(1 << 31)))
    return Scan(
        noisy, built.affine_lps, f"legs around {built.affine_lps[2, 3] + length / 2:.0f} mm", legs, attributes=LEG
    )


@lru_cache(maxsize=1)
def _real() -> Any:
    return read_volume(examine(read_folder(REAL_SERIES).series[0]).volumes[0])


def real(rng: Generator) -> Scan:
    """A stack of 20 to 35 slices of the real patient's abdomen, 3 mm apart."""
    volume = _real()
    slices = int(rng.integers(20, len(volume.slices) - FIRST_WHOLE_SLICE + 1))
    first = int(rng.integers(FIRST_WHOLE_SLICE, len(volume.slices) - slices + 1))
    affine = volume.affine_lps.copy()
    affine[:3, 3] += affine[:3, 0] * first
    return Scan(volume.array[first : first + slices].copy(), affine, f"real {first}-{first + slices - 1}", phantom)


def draw_trunk(rng: Generator, draw: int, period: int) -> Scan:
    """A phantom, the last one of each period the real patient."""
    return real(rng) if draw % period == period - 1 and REAL_SERIES.is_dir() else phantom(rng)


def draw_legs(rng: Generator, _draw: int, _period: int) -> Scan:
    """A phantom: there is no real CT of legs here."""
    return legs(rng)


def turned(scan: Scan, rng: Generator) -> Scan:
    """The same scan stored another way: any axis backwards, with an affine that says so."""
    flips = [axis for axis in range(3) if rng.integers(2)]
    affine = scan.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (scan.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    return scan.but(hu=np.ascontiguousarray(np.flip(scan.hu, flips)), affine_lps=affine)
