"""WrittenFile: a file of the result, with the data set in it where it is DICOM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.core.contract import Output

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset


@dataclass(frozen=True, eq=False)
class WrittenFile:
    """One file in the output folder.

    Attributes:
        path: The file.
        dataset: What is in it, where it is DICOM.
        withholds: It says that the numbers are held back, and has neither a number nor a mask in it: of a result that
            is held it alone goes out.
    """

    path: Path
    dataset: Dataset | None = None
    withholds: bool = False

    @property
    def record(self) -> Output:
        """Its entry in result.json."""
        if self.dataset is None:
            return Output(path=self.path.name)
        return Output(
            path=self.path.name,
            sop_class_uid=str(self.dataset.SOPClassUID),
            sop_class=self.dataset.SOPClassUID.name,
            sop_instance_uid=str(self.dataset.SOPInstanceUID),
            series_instance_uid=str(self.dataset.SeriesInstanceUID),
            study_instance_uid=str(self.dataset.StudyInstanceUID),
        )
