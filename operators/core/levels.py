"""Levels: at which slices the vertebrae of the trunk lie, and who says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from operators.core.catalogue import entry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.core.catalogue import Entry
    from operators.core.volume import SourceSlice

VERTEBRAE: Mapping[str, Entry] = MappingProxyType({
    f"vertebra_{name.lower()}": entry(f"vertebrae_{name}")
    for name in (*(f"T{number}" for number in range(1, 13)), *(f"L{number}" for number in range(1, 6)))
})
"""Vertebrae that are levels of the trunk, from head to feet, by the name of their landmark: `vertebra_l3`."""
L3 = "vertebra_l3"
"""The level at which body composition is read first."""
CENTRE_TEXT = "slice through the centre of the largest ball inside the vertebra, which is that of its body"
"""What the slice of a vertebra is."""


@dataclass(frozen=True, eq=False)
class Levels:
    """Slices of vertebrae, found beside the images and not in them.

    Attributes:
        landmarks: Index of a vertebra's slice in the volume, by the name of its landmark.
        cut: Landmarks of vertebrae that the end of the scan may cut: their centre is not known.
        unusable: What was named as vertebrae and cannot be used, as sentences.
        sources: SOP Instance UIDs of the objects that say so.
        slices: All objects that name vertebrae of these images, as inputs that a result's identity depends on.
    """

    landmarks: Mapping[str, int] = field(default_factory=dict)
    cut: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    slices: tuple[SourceSlice, ...] = ()
