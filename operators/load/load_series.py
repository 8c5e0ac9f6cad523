"""LoadSeries: read the headers of a folder and find out which volumes its series hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from operators.core.geometry import examine
from operators.core.reading import read_folder
from operators.core.selection import LoadedFolder
from operators.runtime.step import Step


@dataclass(frozen=True)
class LoadSeriesParameters:
    """Where to read.

    Attributes:
        folder: Folder with DICOM files, in any order and depth.
    """

    folder: Path


class LoadSeries(Step):
    """Read the headers of a folder and find the volumes of each series; pixels stay in their files.

    Named Output:
        folder: LoadedFolder; each series split into its volumes, slices sorted by position along the normal, with
            findings where something is wrong, and the files that could not be used with their reasons.

    Raises InputRefused where the folder holds no DICOM instance.
    """

    output: ClassVar[str] = "folder"

    def process(self) -> LoadedFolder:
        """Read the folder."""
        parameters: LoadSeriesParameters = self.parameters
        return load_series(parameters.folder)


def load_series(folder: Path) -> LoadedFolder:
    """Read the headers of a folder, group them by Series Instance UID, examine each group."""
    found = read_folder(folder)
    return LoadedFolder(tuple(examine(series) for series in found.series), found.skipped)
