"""Frames: the single pictures of an instance, each with a header of its own.

What a single-frame image says in its data set an enhanced one says in functional groups, shared and for each frame
(PS3.3 C.7.6.16.2), and a Siemens mosaic in how its tiles lie. Here all become the same: a flat header in which Image
Position (Patient), Pixel Spacing and Rescale Slope stand where a single-frame image has them, so that everything
behind this file knows one form only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag

from operators.core.header import (
    PARSE_ERRORS,
    UNDEFINED_LENGTH,
    attribute,
    has,
    read_value,
    standard_copy,
    whole_number,
)
from operators.core.kinds import Kind
from operators.core.mosaic import Tile, is_mosaic, read_mosaic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operators.core.reading import Instance

MOST_FRAMES = 100_000
"""Frames of one instance; a number beyond comes from a damaged header."""
RENAMED = {"FrameType": "ImageType"}
"""Frame Type (0008,9007) is to a frame what Image Type (0008,0008) is to an instance (PS3.3 C.8.13.3.1)."""
FRAMES_KEYWORDS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "NumberOfFrames")
"""What a frame's own header does not have: it stands for a single frame."""
FLATTENED = frozenset({"DiffusionGradientDirectionSequence"})
"""Sequences inside a functional group whose attributes tell frames apart."""
OF_THE_INSTANCE = frozenset({
    "BitsAllocated",
    "BitsStored",
    "Columns",
    "FrameOfReferenceUID",
    "HighBit",
    "NumberOfFrames",
    "PhotometricInterpretation",
    "PixelRepresentation",
    "PlanarConfiguration",
    "Rows",
    "SOPClassUID",
    "SOPInstanceUID",
    "SamplesPerPixel",
    "SeriesInstanceUID",
    "SpecificCharacterSet",
    "StudyInstanceUID",
})
"""What no functional group may say: it would turn a frame into one of another patient or another matrix."""
PATIENT_GROUP = 0x0010


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture.

    Attributes:
        instance: The instance that it is in.
        number: Frame Number, from 1 (PS3.3 C.7.6.6).
        header: Flat header: the instance's, with what functional groups say of this frame put in.
        tile: Which part of the picture it is, for a mosaic.
    """

    instance: Instance
    number: int
    header: Dataset
    tile: Tile | None = None


class UnreadableFrames(Exception):
    """The frames of an instance cannot be told apart."""


def frames_of(instance: Instance) -> tuple[Frame, ...]:
    """The pictures of an instance.

    Args:
        instance: An instance with pixels.

    Returns:
        One frame for a single-frame image; one for each item of the per-frame functional groups; one for each tile
        of a mosaic, in the order of the slices; none where it is no image.

    Raises:
        UnreadableFrames: If the number of frames is none, or differs from the functional groups.
    """
    header = instance.header
    if instance.kind is Kind.OTHER:
        return ()
    count = _number_of_frames(instance)
    try:
        if is_mosaic(header):
            tiles = read_mosaic(header)
            return tuple(Frame(instance, 1, tile_header, tile) for tile, tile_header in tiles)
        if has(header, "PerFrameFunctionalGroupsSequence"):
            flat = _flatten(header, count)
            return tuple(Frame(instance, number, one) for number, one in enumerate(flat, start=1))
    except PARSE_ERRORS as error:
        raise UnreadableFrames(f"its frames cannot be read ({type(error).__name__})") from error
    return tuple(Frame(instance, number, header) for number in range(1, count + 1))


def _number_of_frames(instance: Instance) -> int:
    """Number of Frames (0028,0008); 1 where absent.

    Raises:
        UnreadableFrames: If it is no number that the pixels could hold.
    """
    try:
        count = whole_number(instance.header, "NumberOfFrames", absent=1)
    except ValueError:
        count = 0
    most = 1 if instance.kind is Kind.SLICE else min(MOST_FRAMES, _most_frames(instance))
    if not 1 <= count <= max(1, most):
        raise UnreadableFrames(f"{attribute('NumberOfFrames')} is not between 1 and what its pixels can hold")
    return count


def _most_frames(instance: Instance) -> int:
    """A frame takes a byte at least, or a functional group: a damaged number must not make thousands out of nothing."""
    pixels = instance.pixels
    if pixels is not None:
        return pixels.file_bytes if pixels.length == UNDEFINED_LENGTH else min(pixels.length, pixels.file_bytes)
    return len(read_value(instance.header, "PerFrameFunctionalGroupsSequence") or ())


def _flatten(header: Dataset, count: int) -> Iterator[Dataset]:
    """A header for each frame.

    Raises:
        UnreadableFrames: If there are more or fewer items than frames.
    """
    per_frame = header.PerFrameFunctionalGroupsSequence
    if len(per_frame) != count:
        raise UnreadableFrames(
            f"{attribute('NumberOfFrames')} is {count}, there are functional groups for {len(per_frame)}"
        )
    common = standard_copy(header, without=FRAMES_KEYWORDS)
    for group in itertools.islice(header.get("SharedFunctionalGroupsSequence") or (), 1):
        _put(common, group)
    for group in per_frame:
        flat = standard_copy(common)
        _put(flat, group)
        yield flat


def _put(flat: Dataset, groups: Dataset) -> None:
    """Put the attributes of an item's functional groups into a flat header."""
    for group in groups:
        if isinstance(group.value, Items) and len(group.value) == 1 and not group.tag.is_private:
            _put_group(flat, group.value[0])


def _put_group(flat: Dataset, group: Dataset) -> None:
    for element in group:
        if element.tag.is_private or element.tag.group == PATIENT_GROUP or element.keyword in OF_THE_INSTANCE:
            continue
        if not isinstance(element.value, Items):
            _set(flat, element)
        elif element.keyword in FLATTENED and len(element.value) == 1:
            _put_group(flat, element.value[0])


def _set(flat: Dataset, element: DataElement) -> None:
    """Put an element of its own in: frames share none, so that changing one leaves the others alone."""
    keyword = RENAMED.get(element.keyword, element.keyword)
    flat[keyword] = DataElement(Tag(keyword), element.VR, element.value)
