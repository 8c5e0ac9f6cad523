"""Pixels: from the instances of a regular series to one array of Modality LUT values."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from pydicom import dcmread

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.reading import PARSE_ERRORS, read_value
from operators.core.volume import SourceSlice, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from pydicom import Dataset

    from operators.core.geometry import SeriesGeometry
    from operators.core.reading import Instance

INT16 = np.iinfo(np.int16)


def read_volume(geometry: SeriesGeometry, on_slice: Callable[[int, int], None] | None = None) -> Volume:
    """Decode the pixels of a regular series into one array.

    Each slice has its own Rescale Slope and Intercept (PS3.3 C.11.1.1.2). The array is int16 where every value is a
    whole number that fits, as in CT as scanners write it, and float32 otherwise: nothing wraps, nothing is truncated.

    Args:
        geometry: A series without findings.
        on_slice: Called after each slice with the number of slices done and in all.

    Returns:
        The volume, its slices ordered along the normal.

    Raises:
        InputRefused: If the series is not regular, or the pixels of an instance cannot be decoded.
    """
    if geometry.affine_lps is None or geometry.shape is None:
        raise InputRefused(geometry.findings)
    whole = all(_is_whole(instance.header) for instance in geometry.instances)
    array = np.empty(geometry.shape, dtype=np.int16 if whole else np.float32)
    slices = []
    for index, instance in enumerate(geometry.instances):
        values, digest = _read_slice(instance, geometry.shape[1:])
        if whole and not (values.min() >= INT16.min and values.max() <= INT16.max):
            array, whole = array.astype(np.float32), False
        array[index] = values
        slices.append(SourceSlice(instance.path, instance.header, digest))
        if on_slice is not None:
            on_slice(index + 1, len(geometry.instances))
    frame_of_reference = str(geometry.series.first.get("FrameOfReferenceUID") or "")
    return Volume(array, geometry.affine_lps, frame_of_reference, tuple(slices))


def _read_slice(instance: Instance, matrix: tuple[int, ...]) -> tuple[NDArray[np.float64], str]:
    """Values of one slice after the Modality LUT, and the digest of its stored pixels.

    Raises:
        InputRefused: If the file changed since its header was read, or its pixels do not decode.
    """
    try:
        dataset = dcmread(instance.path)
        stored = dataset.pixel_array
        digest = hashlib.sha256(dataset.PixelData).hexdigest()
    except (*PARSE_ERRORS, RuntimeError) as error:
        raise InputRefused([_undecodable(instance, f"{type(error).__name__}: {error}")]) from error
    if str(dataset.get("SOPInstanceUID") or "") != instance.uid:
        raise InputRefused([_undecodable(instance, "the file was replaced by another instance while it was read")])
    if stored.shape != matrix:
        raise InputRefused([
            _undecodable(instance, f"the pixels have the shape {stored.shape}, the header says {matrix}")
        ])
    slope, intercept = _rescale(instance.header)
    return stored * slope + intercept, digest


def _rescale(header: Dataset) -> tuple[float, float]:
    """Rescale Slope and Intercept (0028,1053), (0028,1052); the identity where absent, which for CT is a finding."""
    slope, intercept = read_value(header, "RescaleSlope"), read_value(header, "RescaleIntercept")
    return 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)


def _is_whole(header: Dataset) -> bool:
    return all(value.is_integer() for value in _rescale(header))


def _undecodable(instance: Instance, reason: str) -> Finding:
    return Finding(
        FindingCode.UNDECODABLE_PIXELS,
        f"the pixels of {instance.path.name} cannot be decoded ({reason}); send the instance again",
        (instance.uid,),
        (instance.path.name,),
    )
