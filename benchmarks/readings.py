"""Readings: what was measured on phantoms beside what is true, and rows of a table from them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import generate_uid

from operators.core.volume import SourceSlice, Volume

SHARE = 0.02
"""Volumes and areas may be wrong by 2 %, or by a shell of half a pixel where that is more."""
HU = 2.0
"""Mean attenuations may be wrong by 2 HU."""


@dataclass(frozen=True)
class Reading:
    """One number of one phantom.

    Attributes:
        quantity: What was measured.
        truth: What it is.
        measured: What the operators said; None where they found nothing.
        allowed: By how much it may be wrong; None where nobody said.
    """

    quantity: str
    truth: float
    measured: float | None
    allowed: float | None = None

    @property
    def error(self) -> float:
        """Measured less true; what was not found is wrong by all of it."""
        return (self.measured or 0.0) - self.truth

    @property
    def holds(self) -> bool:
        """Whether it is as right as it has to be."""
        return self.allowed is None or abs(self.error) <= self.allowed


def allowed_of(truth: float, shell: float) -> float:
    """By how much a volume or an area may be wrong."""
    return max(SHARE * truth, shell)


def shells_cm2(mask: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.float64]:
    """Area of a shell of half a pixel around a mask `(slices, rows, columns)`, by slice, in cm2.

    The outline's length is pi / 4 times that of its pixels' edges: Cauchy's formula for two directions.
    """
    edges = sum(np.diff(mask, axis=axis).sum(axis=(1, 2)) for axis in (1, 2))
    return np.asarray(np.pi / 4 * edges * pixel_mm**2 / 200)


def flawless_hu(name: str, truth: float, values: NDArray[Any]) -> Reading:
    """The mean attenuation that a mask without a fault has on a phantom's voxels.

    A bone is cortex and marrow: of how much of each the voxels' centres hit hangs its mean, whoever drew the mask.
    """
    return Reading(f"mean HU, {name}, mask without fault", truth, float(values.mean()), HU)


def worst_of(readings: Iterable[Reading]) -> Reading:
    """The worst against what is allowed, of those that are more than 1 cm2."""
    return max((each for each in readings if each.truth > 1), key=lambda each: abs(each.error) / (each.allowed or 1))


def volume_of(hu: NDArray[Any], affine_lps: NDArray[np.float64]) -> Volume:
    """A phantom as operators take it."""
    slices = []
    for index in range(hu.shape[0]):
        header = Dataset()
        header.SOPInstanceUID = generate_uid(entropy_srcs=[str(index)])
        header.Modality = "CT"
        slices.append(SourceSlice(Path(f"{index}.dcm"), header, ""))
    return Volume(hu, affine_lps.copy(), "1.2.3", tuple(slices))


def row_of(quantity: str, readings: Sequence[Reading]) -> str:
    """One row: how many, the mean and the worst error, the worst as a share of what is allowed, how many hold."""
    unit, errors = _errors(readings)
    shares = [abs(each.error) / each.allowed for each in readings if each.allowed]
    judged = f"{max(shares):.2f} | {sum(each.holds for each in readings)}" if shares else " | "
    middle, worst = statistics.mean(errors), max(errors, key=abs)
    return f"| {quantity} | {len(readings)} | {middle:+.2f} {unit} | {worst:+.2f} {unit} | {judged} |"


def cell_of(readings: Sequence[Reading]) -> str:
    """The mean and, in brackets, the worst error."""
    unit, errors = _errors(readings)
    return f"{statistics.mean(errors):+.1f} ({max(errors, key=abs):+.1f}) {unit}"


def _errors(readings: Sequence[Reading]) -> tuple[str, list[float]]:
    """Unit and errors: HU and mm as they are, everything else in percent of the truth."""
    quantity = readings[0].quantity
    for start, unit in (("mean HU", "HU"), ("place", "mm"), ("long axis", "mm"), ("short axis", "mm")):
        if quantity.startswith(start):
            return unit, [each.error for each in readings]
    return "%", [100 * each.error / each.truth for each in readings]


def grouped(readings: Iterable[Reading]) -> dict[str, list[Reading]]:
    """Readings by quantity, in the order in which quantities come up."""
    out: dict[str, list[Reading]] = {}
    for each in readings:
        out.setdefault(each.quantity, []).append(each)
    return out
