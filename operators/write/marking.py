"""Marking: what every DICOM result carries besides its content, and how it is saved.

highdicom builds the objects; it stamps them with the wall clock and random UIDs. Here both become functions of the
result's identity, so that the same run gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import highdicom as hd
from pydicom.sr.codedict import codes

from operators.core import defaults
from operators.core.identity import derived_uid

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import Algorithm

PROCESSING_EQUIPMENT = codes.DCM.ProcessingEquipment


def series_description(title: str, identity: ResultIdentity) -> str:
    """Series Description (0008,103E) of a result: at most 64 characters (LO), with its research status.

    The short form of the status stands here; the whole sentence stands in the report.
    """
    return f"{identity.app} {identity.version} {title} (research use)"[:64]


def device_uid(algorithm: Algorithm) -> str:
    """Device UID (0018,1002) of an algorithm: another version, model or constant is another device."""
    return derived_uid(f"device/{algorithm.digest}")


def contributing_equipment(algorithm: Algorithm, identity: ResultIdentity) -> hd.ContributingEquipment:
    """The algorithm as Contributing Equipment (0018,A001) (PS3.3 C.12.1)."""
    item = hd.ContributingEquipment(
        manufacturer=defaults.MANUFACTURER,
        purpose_of_reference=PROCESSING_EQUIPMENT,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        contribution_datetime=identity.clock,
        contribution_description=defaults.RESEARCH_STATUS,
    )
    item.DeviceUID = [device_uid(algorithm)]
    return item


def stamp(dataset: Dataset, identity: ResultIdentity, description: str) -> None:
    """Put the result's clock and description in place of the wall clock."""
    date, time = identity.clock.strftime("%Y%m%d"), identity.clock.strftime("%H%M%S")
    for keyword in ("InstanceCreation", "Content", "Series"):
        setattr(dataset, f"{keyword}Date", date)
        setattr(dataset, f"{keyword}Time", time)
    dataset.SeriesDescription = description


def save(dataset: Dataset, path: Path) -> None:
    """Write a data set as a DICOM file (PS3.10)."""
    dataset.save_as(path, enforce_file_format=True)
