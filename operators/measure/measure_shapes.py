"""MeasureShapes: volume, surface and components of every segment, on its own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy import ndimage
from skimage.measure import marching_cubes, mesh_surface_area

from operators.core import codes
from operators.core.measurements import Measurement, Quantity, SegmentMeasurements, rounded
from operators.core.segmented_regions import SegmentedRegions
from operators.measure.measure_segments import VOLUME
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from operators.core.segmented_regions import Region

SURFACE = Quantity("surface_cm2", "cm2", codes.SURFACE_AREA, codes.SQUARE_CENTIMETRE)
COMPONENTS = Quantity("components", "1", codes.COMPONENT_COUNT, codes.NO_UNITS)
NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
"""26: voxels that share a face, an edge or a corner are connected."""
SLAB = 32
"""Slices that are meshed at a time: the mesh of a whole body would take gigabytes."""


class MeasureShapes(Step):
    """Measure volume, surface and number of connected components of every segment.

    - volume_ml = voxels x voxel volume in mm3 / 1000, on the segmentation's own grid;
    - surface_cm2 = area of the mesh that marching cubes lays at 0.5 through the mask (IBSI C0JK, Zwanenburg et al.
      2020), in cm2. The mesh of a mask has steps, however fine the voxels are: of a sphere it is 9 % larger than the
      true surface where voxels are cubes, 14 % where slices lie 2.5 times as far apart as pixels, 24 % at 7 times;
    - components = connected pieces, voxels with a common corner being connected (26 neighbours).

    Named Input:
        label_map: SegmentedRegions.

    Named Output:
        shapes: tuple of SegmentMeasurements, one a segment, of an empty one its volume of 0 alone.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map",)
    output: ClassVar[str] = "shapes"
    share: ClassVar[float] = 2.0

    def process(self, label_map: SegmentedRegions) -> tuple[SegmentMeasurements, ...]:
        """Measure."""
        return measure_shapes(label_map, self.report)


def measure_shapes(
    regions: SegmentedRegions, on_progress: Callable[[float], None] | None = None
) -> tuple[SegmentMeasurements, ...]:
    """Volume in mL, surface in cm2 and components of each region."""
    measured = []
    for number, region in enumerate(regions.regions):
        measured.append(_measure(region))
        if on_progress is not None:
            on_progress((number + 1) / len(regions.regions))
    return tuple(measured)


def _measure(region: Region) -> SegmentMeasurements:
    voxels = region.voxels
    values = [Measurement(VOLUME, rounded(voxels * region.grid.voxel_volume_mm3 / 1000))]
    if voxels:
        mask = region.box.mask
        surface_mm2 = mesh_surface_mm2(mask, region.grid.affine_lps[:3, :3])
        values += [
            Measurement(SURFACE, rounded(surface_mm2 / 100)),
            Measurement(COMPONENTS, float(component_count(mask))),
        ]
    return SegmentMeasurements(region.segment.name, voxels, tuple(values))


def mesh_surface_mm2(mask: NDArray[np.bool_], axes_mm: NDArray[np.float64]) -> float:
    """Area of the surface of a mask, as a mesh.

    Args:
        mask: `(slices, rows, columns)`; what lies outside of it is no part of it.
        axes_mm: `(3, 3)`, the steps along slices, rows and columns as columns, mm.

    Returns:
        mm2.
    """
    padded = np.pad(mask, 1)
    # Marching cubes works cube by cube: slabs that share one slice have each cube once.
    slabs = (padded[begin : begin + SLAB + 1] for begin in range(0, len(padded) - 1, SLAB))
    return sum(_slab_surface(slab, axes_mm) for slab in slabs)


def _slab_surface(slab: NDArray[np.bool_], axes_mm: NDArray[np.float64]) -> float:
    if slab.all() or not slab.any():
        return 0.0
    corners, faces, _, _ = marching_cubes(slab.astype(np.float32), 0.5)
    return float(mesh_surface_area(corners @ axes_mm.T, faces))


def component_count(mask: NDArray[np.bool_]) -> int:
    """Connected pieces of a mask `(slices, rows, columns)`."""
    return int(ndimage.label(mask, NEIGHBOURS)[1])
