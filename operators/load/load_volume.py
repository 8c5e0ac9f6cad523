"""LoadVolume: the pixels of the selected volume in one array, of HU for CT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from operators.core.pixels import read_volume, volume_of
from operators.core.selection import Selection
from operators.core.staged_volume import take_staged
from operators.core.volume import Volume
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.core.geometry import VolumeGeometry


@dataclass(frozen=True)
class LoadVolumeParameters:
    """What makes loading faster.

    Attributes:
        staged: Folder with slices that were decoded while the study arrived (`operators.core.staging`), if any.
    """

    staged: Path | None = None


class LoadVolume(Step):
    """Decode the pixels of the selected series.

    Named Input:
        selection: Selection, whose volume has a grid.

    Named Output:
        volume: Volume `(slices, rows, columns)` with affine_lps; HU for CT (Modality LUT, PS3.3 C.11.1).

    Raises InputRefused where pixels cannot be decoded.
    """

    inputs: ClassVar[tuple[str, ...]] = ("selection",)
    output: ClassVar[str] = "volume"
    share: ClassVar[float] = 4.0

    def process(self, selection: Selection) -> Volume:
        """Read the pixels."""
        parameters: LoadVolumeParameters = self.parameters or LoadVolumeParameters()
        return load_volume(selection.volume, parameters, lambda done, total: self.report(done / total))


def load_volume(
    geometry: VolumeGeometry, parameters: LoadVolumeParameters, on_slice: Callable[[int, int], None] | None = None
) -> Volume:
    """The volume from its stage as far as it goes, the rest from its files.

    Args:
        geometry: A volume on an even grid.
        parameters: Where the stage is.
        on_slice: Called after each slice that is read from a file.

    Returns:
        The volume; the same either way.

    Raises:
        InputRefused: If the volume has no grid, or the pixels of an instance cannot be decoded.
    """
    staged = None if parameters.staged is None else take_staged(parameters.staged, geometry, on_slice)
    return read_volume(geometry, on_slice) if staged is None else volume_of(geometry, staged)
