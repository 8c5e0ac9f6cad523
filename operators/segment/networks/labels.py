"""Labels: what the names that a model gives its labels mean, by the catalogue."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from operators.core.catalogue import UnknownSegment, entry
from operators.core.errors import ModelError
from operators.core.label_map import LABELS, Segment


def segments_of(labels: Mapping[str, tuple[int, ...]], names: Mapping[str, str]) -> tuple[Segment, ...]:
    """The coded segments of a model's labels; labels that mean the same are one segment.

    Args:
        labels: Label values by the model's own names, without the background.
        names: The catalogue's name for what the model calls otherwise (`model.labels` of the manifest).

    Returns:
        Segments, numbered from 1 in the order of the labels.

    Raises:
        ModelError: If a label's name is not in the catalogue, or a value does not fit a label map.
    """
    merged: dict[str, set[int]] = {}
    for label, values in labels.items():
        if not all(0 < value < LABELS for value in values):
            raise ModelError(f"label {label} has the values {sorted(values)}; a label map holds 1 to {LABELS - 1}")
        merged.setdefault(catalogue_name(label, names), set()).update(values)
    if not merged:
        raise ModelError("the model has no label but the background; its description has to name what it segments")
    try:
        return tuple(
            entry(name).segment(number, tuple(sorted(values)))
            for number, (name, values) in enumerate(merged.items(), start=1)
        )
    except UnknownSegment as error:
        raise ModelError(f"{error}, or say in the manifest what the label means (mapnode.model.labels)") from error


def catalogue_name(label: str, names: Mapping[str, str]) -> str:
    """What the catalogue calls a label, as far as the manifest says it; else the label's own words.

    Examples:
        >>> catalogue_name("SAT", {"SAT": "subcutaneous_fat"}), catalogue_name("Skeletal muscle", {})
        ('subcutaneous_fat', 'skeletal_muscle')
    """
    return names.get(label) or label.strip().lower().replace(" ", "_").replace("-", "_")


def merged_probabilities(
    probabilities: Mapping[str, NDArray[np.float32]], names: Mapping[str, str], segments: tuple[Segment, ...]
) -> tuple[NDArray[np.float32], ...]:
    """Probability of each segment: the sum over its labels, which exclude each other, at most 1.

    Args:
        probabilities: `(slices, rows, columns)` by the model's own names.
        names: As in segments_of.
        segments: The segments.

    Returns:
        One array a segment, in their order.
    """
    sums: dict[str, NDArray[np.float32]] = {}
    for label, values in probabilities.items():
        name = catalogue_name(label, names)
        sums[name] = values if name not in sums else sums[name] + values
    return tuple(np.clip(sums[segment.name], 0, 1) for segment in segments)
