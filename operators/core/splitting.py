"""Splitting: which frames of a series belong to one volume.

A series may hold several volumes: points in time, echoes, b-values, Dixon or phase images, acquisitions, stacks,
orientations. Frames of different orientation, matrix or kind never lie in one volume; frames at one position do not
either, and are told apart by the attribute in which they differ.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydicom.multival import MultiValue

from operators.core.header import read_value
from operators.core.kinds import sop_class_of
from operators.core.placement import normal_of
from operators.core.stack import SAME_POSITION_MM, gaps_of, is_even, order

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from operators.core.frames import Frame
    from operators.core.placement import Placement

COSINE_TOLERANCE = 1e-4
"""Direction cosines of one orientation, written with four decimals or more."""
GE_B_VALUE = (0x0043, 0x1039)
TRAITS: tuple[tuple[str, str | tuple[int, int]], ...] = (
    ("StackID", "StackID"),
    ("TemporalPositionIdentifier", "TemporalPositionIdentifier"),
    ("TemporalPositionIndex", "TemporalPositionIndex"),
    ("EchoNumbers", "EchoNumbers"),
    ("EchoTime", "EchoTime"),
    ("EffectiveEchoTime", "EffectiveEchoTime"),
    ("DiffusionBValue", "DiffusionBValue"),
    ("DiffusionBValue", (0x0019, 0x100C)),  # Siemens
    ("DiffusionBValue", GE_B_VALUE),
    ("DiffusionBValue", (0x2001, 0x1003)),  # Philips
    ("DiffusionGradientOrientation", "DiffusionGradientOrientation"),
    ("DiffusionGradientOrientation", (0x0019, 0x100E)),  # Siemens
    ("DiffusionGradientOrientation", (0x0019, 0x10BB)),  # GE
    ("DiffusionGradientOrientation", (0x2005, 0x10B0)),  # Philips
    ("ComplexImageComponent", "ComplexImageComponent"),
    ("ImageType", "ImageType"),
    ("InversionTime", "InversionTime"),
    ("FlipAngle", "FlipAngle"),
    ("TriggerTime", "TriggerTime"),
    ("NominalPercentageOfCardiacPhase", "NominalPercentageOfCardiacPhase"),
    ("NominalCardiacTriggerDelayTime", "NominalCardiacTriggerDelayTime"),
    ("ContrastBolusAgentPhase", "ContrastBolusAgentPhase"),
    ("KVP", "KVP"),
    ("ConvolutionKernel", "ConvolutionKernel"),
    ("AcquisitionNumber", "AcquisitionNumber"),
    ("FrameAcquisitionNumber", "FrameAcquisitionNumber"),
    ("FrameReferenceTime", "FrameReferenceTime"),
    ("FrameReferenceDateTime", "FrameReferenceDateTime"),
    ("FrameAcquisitionDateTime", "FrameAcquisitionDateTime"),
    ("AcquisitionDateTime", "AcquisitionDateTime"),
    ("AcquisitionTime", "AcquisitionTime"),
    ("ContentTime", "ContentTime"),
)
"""In which frames at one position may differ, the most telling first; b-values also where makers hide them."""
STACK_TRAITS = ("StackID", "AcquisitionNumber", "FrameAcquisitionNumber")
"""In which stacks at different positions may differ, so that a gap between them is no missing slice."""
FEWEST_OF_A_STACK = 3
"""Two slices are always evenly spaced: a slice missing between them would not be seen."""
MOST_TRAITS = 3
"""At most so many attributes together tell volumes apart: b-value, direction and repetition."""
INSTANCE_ORDER = "InstanceNumber"
"""Where nothing else differs, images at one position are numbered in the order of their acquisition."""


@dataclass(frozen=True, eq=False)
class Group:
    """Frames that may make one volume.

    Attributes:
        placements: In no order.
        traits: What tells them from the other groups of their series, by keyword.
    """

    placements: tuple[Placement, ...]
    traits: Mapping[str, str]


def is_localizer(frame: Frame) -> bool:
    """Whether Image Type (0008,0008) says that a frame is a localizer (PS3.3 C.8.2.1.1.1)."""
    value = read_value(frame.header, "ImageType")
    return "LOCALIZER" in (value if isinstance(value, MultiValue | list | tuple) else (value,))


def split(placements: Sequence[Placement]) -> list[Group]:
    """Sort frames into volumes.

    Args:
        placements: All placed frames of a series.

    Returns:
        Groups, each of one orientation, matrix and kind; in the order of their traits, then of their positions.
    """
    groups = [group for part in partition(placements) for group in _split_by_traits(part)]
    return sorted(_told_apart(groups), key=_rank)


def partition(placements: Sequence[Placement]) -> list[list[Placement]]:
    """Frames by orientation, matrix, kind of image and, for mosaics, picture."""
    orientations = orientation_clusters(placements)
    parts: dict[Hashable, list[Placement]] = defaultdict(list)
    for placement, orientation in zip(placements, orientations, strict=True):
        frame = placement.frame
        parts[
            orientation,
            placement.matrix,
            is_localizer(frame),
            sop_class_of(frame.header),
            str(read_value(frame.header, "SamplesPerPixel") or 1),
            frame.instance.path if frame.tile else None,
        ].append(placement)
    return list(parts.values())


def _told_apart(groups: list[Group]) -> list[Group]:
    """Mosaics are volumes of their own from the beginning: the first trait in which all their pictures differ."""
    pictures = [group for group in groups if group.placements[0].frame.tile is not None]
    others = [group for group in groups if group.placements[0].frame.tile is None]
    for name, attribute in (*TRAITS, (INSTANCE_ORDER, INSTANCE_ORDER)):
        values = [trait_of(group.placements[0].frame, attribute) for group in pictures]
        if len(pictures) > 1 and "" not in values and len(set(values)) == len(pictures):
            return others + [Group(g.placements, {name: value}) for g, value in zip(pictures, values, strict=True)]
    return groups


def orientation_clusters(placements: Sequence[Placement]) -> list[int]:
    """For each frame the number of its orientation; orientations within a tolerance are one."""
    known = np.empty((len(placements), 6))
    count, numbers = 0, []
    for placement in placements:
        near = np.flatnonzero(np.abs(known[:count] - placement.orientation).max(axis=1) <= COSINE_TOLERANCE)
        if not near.size:
            known[count] = placement.orientation
            count += 1
        numbers.append(int(near[0]) if near.size else count - 1)
    return numbers


def _split_by_traits(part: Sequence[Placement]) -> list[Group]:
    """One group where positions are distinct and even, else groups by the traits in which frames differ."""
    places = _places(part)
    most = int(np.bincount(places).max())
    if most == 1:
        return _split_into_stacks(part)
    found = _telling_traits(part, places, most)
    if found is not None:
        return found
    return _split_by_instance_number(part, places, most) or [Group(tuple(part), {})]


def _places(part: Sequence[Placement]) -> NDArray[np.intp]:
    """`(n,)`: the number of each frame's position along the normal."""
    ordered = order(part)
    steps = np.concatenate([[0], gaps_of(ordered) >= SAME_POSITION_MM])
    numbers = dict(zip(map(id, ordered), np.cumsum(steps), strict=True))
    return np.array([numbers[id(placement)] for placement in part], dtype=np.intp)


def _telling_traits(part: Sequence[Placement], places: NDArray[np.intp], most: int) -> list[Group] | None:
    """Groups by the fewest traits that leave each position once in every group, and no group too many."""
    values = {index: column for index, column in enumerate(_columns(part)) if 1 < len(set(column)) <= most}
    for count in range(1, MOST_TRAITS + 1):
        for chosen in itertools.combinations(values, count):
            keys = list(zip(*(values[index] for index in chosen), strict=True))
            if len(set(keys)) == most and _is_once_each(keys, places):
                return _grouped(part, keys, [TRAITS[index][0] for index in chosen])
    return None


def _columns(part: Sequence[Placement]) -> Iterator[list[str]]:
    for _, attribute in TRAITS:
        yield [trait_of(placement.frame, attribute) for placement in part]


def trait_of(frame: Frame, attribute: str | tuple[int, int]) -> str:
    """The value of an attribute as text; empty where it is absent."""
    header = frame.header if isinstance(attribute, str) else frame.instance.header
    value = read_value(header, attribute)
    if attribute == GE_B_VALUE:
        return _b_value_of_ge(value)
    # Items and bytes that nobody declared are no values to compare.
    return str(value) if isinstance(value, str | int | float | bytes | MultiValue | list) else ""


def _b_value_of_ge(value: object) -> str:
    """The first of four numbers; newer systems add a billion to it."""
    parts = value if isinstance(value, MultiValue | list) else str(value).split("\\")
    try:
        return str(int(float(str(parts[0]))) % 10**9)
    except ValueError:
        return ""


def _is_once_each(keys: Sequence[Hashable], places: NDArray[np.intp]) -> bool:
    return len(set(zip(keys, places.tolist(), strict=True))) == len(places)


def _grouped(part: Sequence[Placement], keys: Iterable[tuple[str, ...]], names: Sequence[str]) -> list[Group]:
    members: dict[tuple[str, ...], list[Placement]] = defaultdict(list)
    for placement, key in zip(part, keys, strict=True):
        members[key].append(placement)
    return [Group(tuple(found), dict(zip(names, key, strict=True))) for key, found in members.items()]


def _split_by_instance_number(part: Sequence[Placement], places: NDArray[np.intp], most: int) -> list[Group] | None:
    """Every position equally often, told apart by the order of Instance Number (0020,0013) alone; None otherwise."""
    counts = np.bincount(places)
    numbers = [trait_of(placement.frame, INSTANCE_ORDER) for placement in part]
    if (counts != most).any() or len(set(numbers)) != len(part) or not all(n.lstrip("-").isdigit() for n in numbers):
        return None
    seen: dict[int, int] = defaultdict(int)
    keys = [("",)] * len(part)
    for index in sorted(range(len(part)), key=lambda i: int(numbers[i])):
        seen[int(places[index])] += 1
        keys[index] = (str(seen[int(places[index])]),)
    return _grouped(part, keys, [INSTANCE_ORDER])


def _split_into_stacks(part: Sequence[Placement]) -> list[Group]:
    """Stacks with a gap between them, where an attribute says so and each is a regular grid of its own."""
    whole = Group(tuple(part), {})
    if len(part) == 1 or is_even(part):
        return [whole]
    for name in STACK_TRAITS:
        keys = [(trait_of(placement.frame, name),) for placement in part]
        groups = _grouped(part, keys, [name])
        if len(groups) > 1 and all(map(_is_stack, groups)) and not _interleaved(groups):
            return groups
    return [whole]


def _is_stack(group: Group) -> bool:
    return len(group.placements) >= FEWEST_OF_A_STACK and is_even(group.placements)


def _interleaved(groups: Sequence[Group]) -> bool:
    """Whether the ranges of two groups overlap: then slices of the one fill gaps of the other."""
    normal = normal_of(groups[0].placements[0].orientation)
    heights = [[float(p.position @ normal) for p in group.placements] for group in groups]
    ranges = sorted((min(h), max(h)) for h in heights)
    return any(low <= high for (_, high), (low, _) in itertools.pairwise(ranges))


def _rank(group: Group) -> tuple[object, ...]:
    """Order of volumes: by traits, numbers as numbers; then along the normal; then by UID."""
    first = order(group.placements)[0]
    normal = normal_of(first.orientation)
    orientation, height = tuple(np.round(-np.abs(normal), 3)), float(first.position @ normal)
    traits = [(name, _number(value), value) for name, value in group.traits.items()]
    return (-len(group.placements), orientation, traits, height, first.frame.instance.uid, first.frame.number)


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
