"""LoadVolume: decode the pixels of the selected series into one array of HU."""

from __future__ import annotations

from typing import ClassVar

from operators.core.geometry import SeriesGeometry
from operators.core.pixels import read_volume
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.runtime.step import Step


class LoadVolume(Step):
    """Decode the pixels of the selected series.

    Named Input:
        selection: Selection, whose series is regular.

    Named Output:
        volume: Volume `(slices, rows, columns)` with affine_lps; HU for CT (Modality LUT, PS3.3 C.11.1).

    Raises InputRefused where pixels cannot be decoded.
    """

    inputs: ClassVar[tuple[str, ...]] = ("selection",)
    output: ClassVar[str] = "volume"
    share: ClassVar[float] = 4.0

    def process(self, selection: Selection) -> Volume:
        """Read the pixels."""
        geometry: SeriesGeometry = selection.series
        return read_volume(geometry, lambda done, total: self.report(done / total))
