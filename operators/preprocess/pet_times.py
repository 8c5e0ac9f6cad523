"""PET times: when a dose was given, and to which time an image is decay corrected."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from operators.core.header import attribute, read_value
from operators.preprocess.agreed import DAY, AgreedHeader, PrivateAttribute, as_number

if TYPE_CHECKING:
    from pydicom import Dataset

MS_PER_S = 1000.0

LONGEST_UPTAKE_HALF_LIVES = 6.0
"""Less than 2 percent is left after that: nobody scans so late, a date or a half life is wrong."""
LONGEST_HALF_LIFE_WITHOUT_DATE_S = 4 * 3600.0
"""Where a day is at least 6 half lives a time of day says which day; of others it does not."""
TIME_TOLERANCE_S = 2.0
"""Two times cut to whole seconds: 0.02 percent of SUV for F-18."""

GE_SCAN_DATE_TIME = PrivateAttribute(0x0009, "GEMS_PETD_01", 0x0D, "PET scan_datetime")


def uptake_s(header: AgreedHeader, agent: AgreedHeader, half_life_s: float) -> float:
    """Time from the administration to what images with Decay Correction START are corrected to, in s.

    Args:
        header: The headers of a PET volume.
        agent: Their items of Radiopharmaceutical Information Sequence (0054,0016).
        half_life_s: Radionuclide Half Life (0018,1075).

    Raises:
        InputRefused: If the times are missing, contradict each other, or cannot be those of a scan.
    """
    scanned = scan_reference(header, half_life_s)
    waited_s = (scanned - _administration(header, agent, scanned, half_life_s)).total_seconds()
    if not 0 <= waited_s <= LONGEST_UPTAKE_HALF_LIVES * half_life_s:
        raise agent.invalid(
            _name("RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime"),
            f"lies {waited_s:.0f} s before the scan, not between 0 and {LONGEST_UPTAKE_HALF_LIVES:g} half lives of "
            f"{half_life_s:g} s",
        )
    return waited_s


def mean_activity_time_s(duration_s: float, half_life_s: float) -> float:
    """Time from the start of a frame until the activity is its mean over the frame (PS3.3 C.8.9.4.1.5, example 2).

    Examples:
        >>> round(mean_activity_time_s(120.0, half_life_s=6586.2), 3)
        59.937
    """
    decay = math.log(2) * duration_s / half_life_s
    return half_life_s / math.log(2) * math.log(decay / -math.expm1(-decay))


def scan_reference(header: AgreedHeader, half_life_s: float) -> datetime:
    """The time that images with Decay Correction START are corrected to.

    It is the Series Date and Time, to which Frame Reference Time refers too (PS3.3 C.8.9.1.1.2, C.8.9.4.1.5), unless
    they are later than an acquisition: then somebody made a new series of old images, and the time has to be found.

    Raises:
        InputRefused: If the times are missing, or contradict each other.
    """
    series = header.moment("SeriesDate", "SeriesTime")
    acquired = header.moments("AcquisitionDate", "AcquisitionTime")
    if series <= min(acquired):
        return _not_long_before(header, series, min(acquired), half_life_s)
    if (text := header.private(GE_SCAN_DATE_TIME)) is not None:
        found = header.date_time(text, str(GE_SCAN_DATE_TIME), _utc_offset(header))
        return _not_after(header, found, min(acquired), str(GE_SCAN_DATE_TIME))
    return _reference_of_frames(header, acquired, half_life_s)


def _reference_of_frames(header: AgreedHeader, acquired: list[datetime], half_life_s: float) -> datetime:
    """The first acquisition; or, of a frame after another injection, the time from which its offset counts.

    Frame Reference Time is trusted where it leads to the first acquisition or Siemens wrote it: other scanners also
    write it from other times.

    Raises:
        InputRefused: If the frames lead to different times.
    """
    offsets = [_frame_offset_s(dataset, half_life_s) for dataset in header.datasets]
    if any(offset is None for offset in offsets):
        return min(acquired)
    found = [a - timedelta(seconds=o) for a, o in zip(acquired, offsets, strict=True) if o is not None]
    name = attribute("FrameReferenceTime")
    if (max(found) - min(found)).total_seconds() > TIME_TOLERANCE_S:
        raise header.invalid(
            name, f"and {attribute('AcquisitionTime')} lead to times of reference that differ between the slices"
        )
    reference = _not_after(header, min(found), min(acquired), name)
    siemens = "SIEMENS" in str(header.value("Manufacturer") or "").upper()
    if not siemens and (min(acquired) - reference).total_seconds() > TIME_TOLERANCE_S:
        raise header.invalid(
            name,
            f"leads to another time of reference than the first {attribute('AcquisitionTime')}, and "
            f"{attribute('SeriesTime')} is later than both",
        )
    return reference


def _frame_offset_s(dataset: Dataset, half_life_s: float) -> float | None:
    """Time from the reference to the start of a frame; None where the slice does not say."""
    reference_ms, duration_ms = (
        as_number(str(read_value(dataset, keyword))) for keyword in ("FrameReferenceTime", "ActualFrameDuration")
    )
    if reference_ms is None or duration_ms is None or not (reference_ms > 0 and duration_ms > 0):
        return None
    return reference_ms / MS_PER_S - mean_activity_time_s(duration_ms / MS_PER_S, half_life_s)


def _not_long_before(header: AgreedHeader, series: datetime, first: datetime, half_life_s: float) -> datetime:
    """The series' time, to which nobody corrects what was acquired when hardly anything was left.

    Raises:
        InputRefused: If the first acquisition is so late.
    """
    waited_s = (first - series).total_seconds()
    if waited_s > LONGEST_UPTAKE_HALF_LIVES * half_life_s:
        raise header.invalid(
            _name("SeriesDate", "SeriesTime"),
            f"lies {waited_s:.0f} s before the first {attribute('AcquisitionTime')}, more than "
            f"{LONGEST_UPTAKE_HALF_LIVES:g} half lives of {half_life_s:g} s",
        )
    return series


def _not_after(header: AgreedHeader, reference: datetime, first: datetime, name: str) -> datetime:
    """The reference, which no acquisition precedes.

    Raises:
        InputRefused: If one does.
    """
    if (reference - first).total_seconds() > TIME_TOLERANCE_S:
        raise header.invalid(name, f"leads to a time of reference after {attribute('AcquisitionTime')}")
    return reference


def _administration(header: AgreedHeader, agent: AgreedHeader, scanned: datetime, half_life_s: float) -> datetime:
    """When the dose was given: the date and time, or the last such time of day before the scan.

    Raises:
        InputRefused: If neither is there, both contradict each other, or a time of day does not say the day.
    """
    time_name = attribute("RadiopharmaceuticalStartTime")
    both = _name("RadiopharmaceuticalStartDateTime", "RadiopharmaceuticalStartTime")
    date_time, time = agent.value("RadiopharmaceuticalStartDateTime"), agent.value("RadiopharmaceuticalStartTime")
    if date_time is None and time is None:
        raise agent.missing(both)
    midnight = datetime.combine(scanned.date(), datetime.min.time())
    by_time = None if time is None else midnight + agent.time(str(time).strip(), time_name)
    if date_time is not None:
        given = agent.date_time(str(date_time), attribute("RadiopharmaceuticalStartDateTime"), _utc_offset(header))
        if by_time is not None and _apart_s(given, by_time) > TIME_TOLERANCE_S:
            raise agent.invalid(both, "contradict each other")
        return given
    assert by_time is not None
    if half_life_s > LONGEST_HALF_LIFE_WITHOUT_DATE_S:
        raise agent.invalid(time_name, f"does not say the day, which a half life of {half_life_s:g} s needs")
    return by_time if by_time <= scanned else by_time - DAY


def _apart_s(first: datetime, second: datetime) -> float:
    """Distance of two times of day in s, around midnight too."""
    apart = (first - second) % DAY
    return min(apart, DAY - apart).total_seconds()


def _utc_offset(header: AgreedHeader) -> str | None:
    value = header.value("TimezoneOffsetFromUTC")
    return None if value is None else str(value)


def _name(*keywords: str) -> str:
    return " or ".join(map(attribute, keywords))
