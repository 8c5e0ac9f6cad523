"""Intensities: what the values of a volume are, and a region's voxels among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from operators.core import codes
from operators.core.header import read_text
from operators.core.measurements import Quantity
from operators.core.segmented_regions import Grid
from operators.core.series_checks import HOUNSFIELD, lut_output

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

    from operators.core.segmented_regions import Region
    from operators.core.volume import Volume


class Scale(NamedTuple):
    """What values are.

    Attributes:
        suffix: Of names in result.json.
        unit: As people write it.
        concept: Concept name.
        ucum: Unit as UCUM.
    """

    suffix: str
    unit: str
    concept: Code
    ucum: Code

    def quantity(self, prefix: str, derivation: Code) -> Quantity:
        """One statistic of such values."""
        return Quantity(f"{prefix}_{self.suffix}", self.unit, self.concept, self.ucum, derivation)


SCALES = {
    "CT": Scale("hu", "HU", codes.ATTENUATION_COEFFICIENT, codes.HOUNSFIELD_UNIT),
    "PT": Scale("suvbw", "g/mL", codes.SUV_BODY_WEIGHT, codes.SUV_UNIT),
    "MR": Scale("signal", "1", codes.SIGNAL_INTENSITY, codes.NO_UNITS),
}
"""By Modality (0008,0060); signals of MR compare within one series alone."""


def scale_of(volume: Volume) -> Scale | None:
    """What the values of a volume are: of PET after `ConvertToSUV`; None of a CT that says that they are no HU."""
    modality = read_text(volume.slices[0].header, "Modality")
    if modality == "CT" and any(lut_output(source.header) not in HOUNSFIELD for source in volume.slices):
        return None
    return SCALES[modality]


def grid_of(volume: Volume) -> Grid:
    """The volume's grid."""
    slices, rows, columns = volume.array.shape
    return Grid((slices, rows, columns), volume.affine_lps.copy())


def values_in(region: Region, volume: Volume) -> NDArray[Any]:
    """`(voxels,)`: values of the image's voxels whose centres lie in a region, without padding (PS3.3 C.7.5.1.1.2)."""
    if not region.voxels:
        return volume.array[:0].reshape(-1)
    box = region.on(grid_of(volume))
    mask = box.mask if volume.padding is None else box.mask & ~volume.padding[box.slices]
    return volume.array[box.slices][mask]
