"""CheckInput: say where the folder held files that may belong to the series and could not be read."""

from __future__ import annotations

from typing import ClassVar

from operators.core.quality import QualityFinding, QualityReport
from operators.core.selection import LoadedFolder
from operators.runtime.step import Step


class CheckInput(Step):
    """Say which files were skipped though they may be images: the volume may lack its first or last slices.

    Missing slices inside a stack are seen by its geometry; at its ends nothing but such a file tells of them.

    Named Input:
        folder: LoadedFolder.

    Named Output:
        input_quality: QualityReport; caution where such a file was skipped.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder",)
    output: ClassVar[str] = "input_quality"

    def process(self, folder: LoadedFolder) -> QualityReport:
        """Look at the skipped files."""
        return check_input(folder)


def check_input(folder: LoadedFolder) -> QualityReport:
    """One finding where files were skipped that may be images."""
    names = [file.name for file in folder.skipped if file.suspicious]
    if not names:
        return QualityReport(())
    message = (
        f"{len(names)} files could not be read and may be images of the series: the scan may reach farther than what "
        "was measured."
    )
    return QualityReport((QualityFinding("unreadable_files", message),))
