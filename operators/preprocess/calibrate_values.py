"""CalibrateValues: the values that are measured: HU of CT, SUVbw of PET, the signal of MR."""

from __future__ import annotations

from typing import ClassVar

from operators.core.header import read_text
from operators.core.volume import Volume
from operators.preprocess.convert_to_suv import convert_to_suv
from operators.runtime.step import Step


class CalibrateValues(Step):
    """Convert a PET to SUVbw (`ConvertToSUV`), and leave every other volume as it is.

    Named Input:
        volume: Volume.

    Named Output:
        values: Volume on the same grid.

    Raises InputRefused where a PET does not say how it becomes SUVbw.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "values"

    def process(self, volume: Volume) -> Volume:
        """Convert where it is a PET."""
        return calibrate_values(volume)


def calibrate_values(volume: Volume) -> Volume:
    """The volume, in SUVbw where its Modality (0008,0060) is PT."""
    is_pet = read_text(volume.slices[0].header, "Modality") == "PT"
    return convert_to_suv(volume) if is_pet else volume
