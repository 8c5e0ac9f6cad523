"""Planes of a SEG: in which order slices become frames, and what a data set says of their stack and their sources.

highdicom's rules, with highdicom's functions where it has them: to let it look at every slice itself takes longer than
all the rest of a SEG with few segments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from highdicom.spatial import VOLUME_INDEX_CONVENTION, get_normal_vector, get_volume_positions
from pydicom.valuerep import format_number_as_ds

from operators.core.errors import GeometryError
from operators.core.header import read_numbers, read_text
from operators.write.stand_ins import put_references_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from operators.core.volume import SourceSlice


def plane_order(headers: Sequence[Dataset], included: NDArray[np.bool_]) -> list[int]:
    """Slices that have frames, along highdicom's normal, which is column direction x row direction.

    Args:
        headers: Of all slices of the source.
        included: `(slices,)`, which of them have frames.

    Returns:
        Their indices; the place here, from 1, is the position's Dimension Index Value (0020,9157).
    """
    normal = get_normal_vector(headers[0].ImageOrientationPatient, index_convention=VOLUME_INDEX_CONVENTION)
    return [int(index) for index in np.argsort(positions_of(headers) @ normal, kind="stable") if included[index]]


def positions_of(headers: Sequence[Dataset]) -> NDArray[np.float64]:
    """Image Position (Patient) (0020,0032), `(slices, 3)` in mm, LPS."""
    return np.array([read_numbers(header, "ImagePositionPatient") for header in headers], dtype=np.float64)


def describe_stack(
    dataset: Dataset, headers: Sequence[Dataset], included: NDArray[np.bool_], *, one_kind: bool
) -> None:
    """Say how slices lie to each other.

    Args:
        dataset: A SEG of the first slice alone.
        headers: Of all slices of the source.
        included: `(slices,)`, which of them have frames.
        one_kind: Whether frames differ in position alone, not in their segment as well.
    """
    positions, orientation = positions_of(headers), headers[0].ImageOrientationPatient
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    if headers[0].get("SpacingBetweenSlices") is None:
        spacing, _ = get_volume_positions(positions.tolist(), orientation)
        # Of one slice highdicom says a spacing of 1.
        del measures.SpacingBetweenSlices
        if spacing is not None:
            measures.SpacingBetweenSlices = format_number_as_ds(spacing)
    if one_kind and included.sum() > 1:
        spacing, _ = get_volume_positions(positions[included].tolist(), orientation, sort=False)
        if spacing is not None and spacing > 0:
            dataset.DimensionOrganizationType = "3D"


def refer_to(dataset: Dataset, sources: Sequence[SourceSlice]) -> None:
    """List all slices as sources (PS3.3 C.7.6.1.1.4) and as instances of the one series referred to (C.12.2).

    Raises:
        GeometryError: If slices are of several series or frames of reference: the SEG says those of the first.
    """
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        values = {read_text(source.header, keyword) for source in sources}
        if len(values) > 1:
            raise GeometryError(f"the source has {len(values)} values of {keyword}; a SEG refers to one series")
    put_references_to(dataset, "SourceImageSequence", sources)
    put_references_to(dataset.ReferencedSeriesSequence[0], "ReferencedInstanceSequence", sources, frames=False)
