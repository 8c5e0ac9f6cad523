"""Header quantities: what the headers of a volume's images say of slices that are thick, far apart or not there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from operators.core.header import read_numbers, read_text

if TYPE_CHECKING:
    from operators.core.volume import Volume

YEARS_OF_UNIT = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
"""Units of an Age String."""


def slice_thickness_mm(volume: Volume) -> float | None:
    """Median Slice Thickness (0018,0050) in mm; None where no image states one."""
    values = _only_numbers(volume, "SliceThickness")
    return float(np.median(values)) if values else None


def slice_step(volume: Volume) -> float | None:
    """Distance of the slices' positions over Slice Thickness; above 1 there is tissue that no slice shows."""
    thickness_mm = slice_thickness_mm(volume)
    return None if thickness_mm is None else volume.spacing_mm[0] / thickness_mm


def unseen_instances(volume: Volume) -> float | None:
    """How many Instance Numbers (0020,0013) from 1 to the highest no image of the volume has.

    None where images have no numbers, one number twice, or several frames: then the numbers count something else.
    """
    known = {float(number) for number in _only_numbers(volume, "InstanceNumber")}
    return max(known) - len(known) if known and len(known) == len(volume.slices) else None


def patient_age_years(volume: Volume) -> float | None:
    """Patient's Age (0010,1010) in years, from an Age String (PS3.5 6.2); None where no image states one."""
    stated = (re.fullmatch(r"(\d{3})([DWMY])", read_text(source.header, "PatientAge")) for source in volume.slices)
    ages = [int(age[1]) * YEARS_OF_UNIT[age[2]] for age in stated if age is not None]
    return float(np.median(ages)) if ages else None


def _only_numbers(volume: Volume, keyword: str) -> list[np.float64]:
    """The positive numbers of an attribute, one a slice that states one."""
    stated = (read_numbers(source.header, keyword) for source in volume.slices)
    return [numbers[0] for numbers in stated if numbers is not None and numbers.size == 1 and numbers[0] > 0]
