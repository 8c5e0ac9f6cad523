"""Series for the turnaround benchmark: the load benchmark's phantom, written once, sent under ever new UIDs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.uid import generate_uid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class FreshSeries:
    """A series that no node has seen.

    Attributes:
        study_instance_uid: Study Instance UID (0020,000D).
        series_instance_uid: Series Instance UID (0020,000E).
        files: One a slice, in order.
    """

    study_instance_uid: str
    series_instance_uid: str
    files: tuple[Path, ...]

    def remove(self) -> None:
        """Give back its room."""
        for path in self.files:
            path.unlink()


def fresh_series(template: Sequence[Path], folder: Path, name: str) -> FreshSeries:
    """Copy slices under new UIDs and another patient.

    Args:
        template: The slices.
        folder: Where they go; made.
        name: All UIDs and the Patient ID follow from it.

    Returns:
        The series, Instance Numbers from 1.
    """
    folder.mkdir(parents=True)
    study, series, frame = (generate_uid(entropy_srcs=[name, part]) for part in ("study", "series", "frame"))
    files = []
    for number, source in enumerate(template, start=1):
        dataset = dcmread(source)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(number)])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.PatientID = name
        dataset.InstanceNumber = number
        files.append(folder / source.name)
        dataset.save_as(files[-1], enforce_file_format=True)
    return FreshSeries(study, series, tuple(files))
