"""Stated count: how many instances a series has as its own headers state it, where everything agrees.

Believed is only what speaks of the whole series, and only where it fits what has come: as many instances as stated,
Instance Number (0020,0013) 1 to that, each once. A wrong count publishes a wrong number; None costs some waiting.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from operators.core.header import has, read_numbers, read_text, read_uid, read_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydicom import Dataset

_PET_VOLUMES = {
    "STATIC": (),
    "WHOLE BODY": (),
    "DYNAMIC": ("NumberOfTimeSlices",),
    "GATED": ("NumberOfRRIntervals", "NumberOfTimeSlots"),
}
"""How many volumes of Number of Slices a PET series has, by Series Type (PS3.3 C.8.9.1.1.4)."""


def stated_count(headers: Sequence[Dataset]) -> int | None:
    """How many instances a series has, as its headers state it.

    What counts as a statement:
    - Number of Series Related Instances (0020,1209), which some archives write into what they send.
    - PET: Number of Slices (0054,0081) times time slices, or times intervals and slots (PS3.3 C.8.9.1).
    - Images in Acquisition (0020,1002), where all are of one acquisition and it takes the whole volume: spiral CT, and
      three-dimensional MR that states its temporal positions. Sequential CT has one for each position of the table.

    Args:
        headers: Of all instances of one series that have come.

    Returns:
        The count; None where nothing is stated, or statements, instances and their numbers do not all agree.
    """
    count = len(headers)
    if count < 2 or not any(_statements(headers[0], one_acquisition=True)) or not _is_one_of_each(headers):
        return None
    one_acquisition = len({_whole(header, "AcquisitionNumber") for header in headers} - {None}) == 1
    stated = {tuple(_statements(header, one_acquisition=one_acquisition)) for header in headers}
    return count if stated and all(counts and set(counts) == {count} for counts in stated) else None


def _is_one_of_each(headers: Sequence[Dataset]) -> bool:
    """Whether these are the instances 1 to N of one series, with every temporal position among them."""
    numbers = sorted(_whole(header, "InstanceNumber") or 0 for header in headers)
    return (
        numbers == list(range(1, len(headers) + 1))
        and len({read_uid(header, "SOPInstanceUID") for header in headers} - {""}) == len(headers)
        and len({read_uid(header, "SeriesInstanceUID") for header in headers}) == 1
        and _has_all_temporal_positions(headers)
    )


def _has_all_temporal_positions(headers: Sequence[Dataset]) -> bool:
    """Whether each of Number of Temporal Positions (0020,0105) has come equally often; True where none are stated."""
    stated = {_whole(header, "NumberOfTemporalPositions") for header in headers}
    if stated <= {None, 1}:
        return True
    found = Counter(_whole(header, "TemporalPositionIdentifier") for header in headers)
    return stated == {len(found)} and None not in found and len(set(found.values())) == 1


def _statements(header: Dataset, *, one_acquisition: bool) -> Iterator[int]:
    """What one header states of its series; 0 for a statement that cannot be read."""
    if read_value(header, "NumberOfSeriesRelatedInstances") is not None:
        yield _whole(header, "NumberOfSeriesRelatedInstances") or 0
    if read_text(header, "Modality") == "PT":
        yield from _pet(header)
    elif one_acquisition and _takes_the_whole_volume(header):
        yield from [_whole(header, "ImagesInAcquisition") or 0] if has(header, "ImagesInAcquisition") else []


def _pet(header: Dataset) -> Iterator[int]:
    """Slices times volumes, where the Series Type says how many volumes there are."""
    series_type = read_value(header, "SeriesType")
    for kind, keywords in _PET_VOLUMES.items():
        if series_type == [kind, "IMAGE"]:
            yield math.prod(_whole(header, keyword) or 0 for keyword in ("NumberOfSlices", *keywords))


def _takes_the_whole_volume(header: Dataset) -> bool:
    """Whether an acquisition of this kind is all of the volume."""
    modality = read_text(header, "Modality")
    if modality == "MR":
        return read_text(header, "MRAcquisitionType") == "3D" and has(header, "NumberOfTemporalPositions")
    options = str(read_value(header, "ScanOptions") or "").upper()
    return modality == "CT" and ("HELICAL" in options or "SPIRAL" in options)


def _whole(header: Dataset, keyword: str) -> int | None:
    """The attribute's only value where it is a whole number above 0."""
    numbers = read_numbers(header, keyword)
    if numbers is None or numbers.shape != (1,) or not float(numbers[0]).is_integer() or numbers[0] < 1:
        return None
    return int(numbers[0])
