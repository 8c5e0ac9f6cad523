"""Volume facts: what selection criteria may ask of a volume, from its headers and its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom.multival import MultiValue

from operators.core.header import read_numbers, read_value
from operators.core.manifest import VolumeProperty
from operators.core.placement import Placement, normal_of, place

if TYPE_CHECKING:
    from pydicom import Dataset

    from operators.core.geometry import VolumeGeometry

Facts = "Mapping[VolumeProperty, tuple[str, ...] | float]"
NORMAL_AXIS = {"sagittal": 0, "coronal": 1, "axial": 2}
"""LPS axis along which the normal of the slices runs."""
ORIENTATION_TOLERANCE_DEG = 20.0
"""A stack is still called axial up to this angle: gantries and reconstructions are tilted by up to about 20 degrees."""
TEXTS = {
    VolumeProperty.MODALITY: "Modality",
    VolumeProperty.BODY_PART: "BodyPartExamined",
    VolumeProperty.SERIES_DESCRIPTION: "SeriesDescription",
    VolumeProperty.PROTOCOL_NAME: "ProtocolName",
    VolumeProperty.KERNEL: "ConvolutionKernel",
    VolumeProperty.CONTRAST_AGENT: "ContrastBolusAgent",
    VolumeProperty.CONTRAST_PHASE: "ContrastBolusAgentPhase",
    VolumeProperty.MANUFACTURER: "Manufacturer",
}
"""Properties that are an attribute's text; that of the slice with the lowest UID stands for the volume."""


def facts_of(volume: VolumeGeometry) -> dict[VolumeProperty, tuple[str, ...] | float]:
    """What is known of a volume.

    Args:
        volume: Before its pixels are read.

    Returns:
        Texts as tuples of values, numbers as floats; what is absent is not in it.
    """
    first = min(volume.frames, key=lambda frame: (frame.instance.uid, frame.number)).header
    facts: dict[VolumeProperty, tuple[str, ...] | float] = {}
    for name, keyword in TEXTS.items():
        if values := _texts(first, keyword):
            facts[name] = values
    common = set.intersection(*(set(_texts(frame.header, "ImageType")) for frame in volume.frames))
    if common:
        facts[VolumeProperty.IMAGE_TYPE] = tuple(sorted(common))
    thickness = read_numbers(first, "SliceThickness")
    if thickness is not None and len(thickness) == 1 and np.isfinite(thickness[0]):
        facts[VolumeProperty.SLICE_THICKNESS_MM] = float(thickness[0])
    return facts | _grid_facts(volume)


def _grid_facts(volume: VolumeGeometry) -> dict[VolumeProperty, tuple[str, ...] | float]:
    """Those that need positions; empty for frames that have none."""
    ends = [place(frame) for frame in (volume.frames[0], volume.frames[-1])]
    first, last = ends
    if volume.spacing_mm is None or not isinstance(first, Placement) or not isinstance(last, Placement):
        return {}
    coverage = abs(float((last.position - first.position) @ normal_of(first.orientation)))
    facts: dict[VolumeProperty, tuple[str, ...] | float] = {
        VolumeProperty.ORIENTATION: (orientation_of(first),),
        VolumeProperty.SLICES: float(len(volume.frames)),
        VolumeProperty.COVERAGE_MM: coverage,
    }
    if volume.spacing_mm[0] is not None:
        facts[VolumeProperty.SLICE_SPACING_MM] = volume.spacing_mm[0]
    return facts


def orientation_of(placement: Placement) -> str:
    """axial, coronal or sagittal; oblique where the normal is far from every axis."""
    normal = np.abs(normal_of(placement.orientation))
    for name, axis in NORMAL_AXIS.items():
        if np.degrees(np.arccos(np.clip(normal[axis], 0, 1))) <= ORIENTATION_TOLERANCE_DEG:
            return name
    return "oblique"


def _texts(header: Dataset, keyword: str) -> tuple[str, ...]:
    """The values of an attribute that are text or numbers."""
    value = read_value(header, keyword)
    values = tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)
    return tuple(text for v in values if isinstance(v, str | int | float) and (text := str(v).strip()))
