"""ConvertToSUV: convert a PET volume to standardized uptake values by body weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydicom.uid import PositronEmissionTomographyImageStorage

from operators.core.header import attribute
from operators.core.volume import Volume
from operators.preprocess.agreed import AgreedHeader, Limits, PrivateAttribute, as_number
from operators.preprocess.pet_times import uptake_s
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operators.core.volume import SourceSlice

GRAMS_PER_KG = 1000.0

DOSE_BQ = Limits(
    1e6,
    1e10,
    "Bq",
    "the dose is in becquerel (PS3.3 C.8.9.2), and scanners that write MBq, kBq or mCi are not guessed at",
)
"""Patients get some ten MBq (children, whole-body scanners) to some GBq (oxygen-15)."""
HALF_LIFE_S = Limits(
    60, 1e6, "s", "the half life is in seconds, that of positron emitters 75 s (Rb-82) to 4 days (I-124)"
)
WEIGHT_KG = Limits(0.4, 400, "kg", "the weight of a patient is in kilograms")
SCALE_FACTOR = Limits(1e-12, 1e12, "", "a factor is positive")

PHILIPS_SUV_FACTOR = PrivateAttribute(0x7053, "Philips PET Private Group", 0x00, "SUV Scale Factor")
PHILIPS_ACTIVITY_FACTOR = PrivateAttribute(
    0x7053, "Philips PET Private Group", 0x09, "Activity Concentration Scale Factor"
)
OTHER_SERIES = "send the PET images that are corrected for attenuation and decay, in Bq/mL"


class ConvertToSUV(Step):
    """Convert a PET volume to SUVbw, as the QIBA Profile FDG-PET/CT and its vendor-neutral pseudo-code define it.

    SUVbw = activity concentration in Bq/mL x body weight in g / dose in Bq at the time that the image is decay
    corrected to. The attributes are those of PS3.3 C.8.9.1, C.8.9.2 and C.8.9.4. The dose is the one administered:
    what stayed in the syringe is in no attribute.

    Named Input:
        volume: Volume of a PET series in its Units (0054,1001): BQML, CNTS of Philips, or GML.

    Named Output:
        suv: Volume on the same grid, SUVbw in g/mL, float32.

    Raises InputRefused where an attribute is missing, implausible, or not the same in all slices.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "suv"

    def process(self, volume: Volume) -> Volume:
        """Convert."""
        return convert_to_suv(volume)


def convert_to_suv(volume: Volume) -> Volume:
    """The volume in SUVbw, g/mL, float32; the input is not touched.

    Args:
        volume: `(slices, rows, columns)`, the output of the Modality LUT: values in Units (0054,1001).

    Raises:
        InputRefused: If the slices' attributes do not say how.
    """
    factor = suv_factor(volume.slices)
    return replace(volume, array=np.multiply(volume.array, factor, dtype=np.float32))


def suv_factor(slices: Iterable[SourceSlice]) -> float:
    """SUVbw in g/mL of a voxel with the rescaled value 1.

    Args:
        slices: The sources of a PET volume, in any order.

    Raises:
        InputRefused: If an attribute is missing, implausible, or differs.
    """
    header = AgreedHeader.of(slices)
    if header.text("SOPClassUID") != PositronEmissionTomographyImageStorage:
        raise header.invalid(
            attribute("SOPClassUID"),
            "is not that of PET Image Storage: others say dose and units in other terms (PS3.3 C.8.22.4)",
            OTHER_SERIES,
        )
    units = header.text("Units")
    _require_corrections(header)
    if units == "GML":
        return _factor_of_suv(header)
    if units == "CNTS":
        return _factor_of_counts(header)
    if units == "BQML":
        return _factor_of_activity(header)
    raise header.invalid(attribute("Units"), f"is {units}, not BQML, GML or CNTS (PS3.3 C.8.9.1)", OTHER_SERIES)


def decayed_dose_bq(dose_bq: float, waited_s: float, half_life_s: float) -> float:
    """What is left of a dose.

    Examples:
        >>> decayed_dose_bq(400e6, waited_s=6586.2, half_life_s=6586.2)
        200000000.0
    """
    return float(dose_bq * 2 ** (-waited_s / half_life_s))


def _require_corrections(header: AgreedHeader) -> None:
    """Corrected Image (0028,0051) has ATTN and DECY, Decay Correction (0054,1102) names a time (PS3.3 C.8.9.1).

    Raises:
        InputRefused: If not.
    """
    value = header.value("CorrectedImage")
    if value is None:
        raise header.missing(attribute("CorrectedImage"))
    corrections = {value} if isinstance(value, str) else set(map(str, value))
    if absent := sorted({"ATTN", "DECY"} - corrections):
        raise header.invalid(
            attribute("CorrectedImage"),
            f"lacks {' and '.join(absent)}: SUV needs images corrected for attenuation and decay",
            OTHER_SERIES,
        )
    correction = header.text("DecayCorrection")
    if correction not in {"START", "ADMIN"}:
        raise header.invalid(
            attribute("DecayCorrection"),
            f"is {correction}, not START or ADMIN: nothing says when the activity was what the image shows",
            OTHER_SERIES,
        )


def _factor_of_suv(header: AgreedHeader) -> float:
    """1 for an image in g/mL whose SUV Type is BW, which it is where it does not say (PS3.3 C.8.9.1).

    Raises:
        InputRefused: If it is SUV by another measure.
    """
    suv_type = header.value("SUVType")
    if suv_type not in {None, "BW"}:
        raise header.invalid(attribute("SUVType"), f"is {suv_type}, not BW: SUV by another measure", OTHER_SERIES)
    return 1.0


def _factor_of_counts(header: AgreedHeader) -> float:
    """Philips: by its own SUV factor, or by its factor to Bq/mL where that is absent or zero.

    Raises:
        InputRefused: If both are.
    """
    for private in (PHILIPS_SUV_FACTOR, PHILIPS_ACTIVITY_FACTOR):
        text = header.private(private)
        if text is None or as_number(text) == 0:
            continue
        factor = header.checked(text, str(private), SCALE_FACTOR)
        return factor if private is PHILIPS_SUV_FACTOR else factor * _factor_of_activity(header)
    raise header.missing(f"{attribute('Units')} is CNTS, but {PHILIPS_SUV_FACTOR} or {PHILIPS_ACTIVITY_FACTOR}")


def _factor_of_activity(header: AgreedHeader) -> float:
    """g/mL for 1 Bq/mL.

    Raises:
        InputRefused: If weight, dose or times do not say.
    """
    weight_g = header.number("PatientWeight", WEIGHT_KG) * GRAMS_PER_KG
    agent = header.item("RadiopharmaceuticalInformationSequence")
    dose_bq = agent.number("RadionuclideTotalDose", DOSE_BQ)
    if header.text("DecayCorrection") == "ADMIN":
        return weight_g / dose_bq
    half_life_s = agent.number("RadionuclideHalfLife", HALF_LIFE_S)
    return weight_g / decayed_dose_bq(dose_bq, uptake_s(header, agent, half_life_s), half_life_s)
