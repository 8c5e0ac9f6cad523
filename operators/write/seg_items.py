"""Items of the Per-Frame Functional Groups Sequence (5200,9230), encoded from templates.

A SEG of many segments has thousands of items that differ in few values: source instance, position, and the number of
the segment. pydicom encodes a template; the values are put into its bytes.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_sequence_item
from pydicom.valuerep import DSfloat

from operators.core.header import decimal_strings, read_text
from operators.core.kinds import MULTI_FRAME
from operators.write.stand_ins import encoded_element, image_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from operators.core.volume import SourceSlice

DIMENSION_INDEX_VALUES = struct.pack("<HH2sH", 0x0020, 0x9157, b"UL", 8)
"""Header of the element where it has two values, segment and position (PS3.5 7.1.2)."""
REFERENCED_SEGMENT_NUMBER = struct.pack("<HH2sH", 0x0062, 0x000B, b"US", 2)
SHORT_DECIMAL = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,7})?")
"""Decimal Strings that are surely not too long; pydicom's check of each takes as long as all else of an item."""


def encode_items(item: Dataset, sources: Sequence[SourceSlice]) -> list[bytes]:
    """Encode the items of all planes.

    Args:
        item: One of them, of segment 1, with one source image; it is used up.
        sources: The source slices, in the order of the planes.

    Returns:
        The items in Explicit VR Little Endian, with their tags and lengths, numbered from 1 in the last of their
        Dimension Index Values (0020,9157).
    """
    templates: dict[tuple[int, ...], tuple[bytes, list[bytes]]] = {}
    names_segment = item.FrameContentSequence[0]["DimensionIndexValues"].VM == 2
    encoded = []
    for place, source in enumerate(sources, start=1):
        header = source.header
        class_uid, instance_uid = read_text(header, "SOPClassUID"), read_text(header, "SOPInstanceUID")
        position = [_shortened(text) for text in decimal_strings(header, "ImagePositionPatient")]
        dimensions = [1, place] if names_segment else [place]
        values = [
            encoded_element(0x0008, 0x1150, b"UI", class_uid.encode("ascii"), b"\0"),
            encoded_element(0x0008, 0x1155, b"UI", instance_uid.encode("ascii"), b"\0"),
            encoded_element(0x0020, 0x0032, b"DS", "\\".join(position).encode("ascii"), b" "),
            *([_frame_number(source)] if class_uid in MULTI_FRAME else []),
            encoded_element(0x0020, 0x9157, b"UL", struct.pack(f"<{len(dimensions)}L", *dimensions), b""),
        ]
        # Values of other lengths change the lengths of all sequences around them: that is another template.
        lengths = tuple(map(len, values))
        if lengths not in templates:
            _describe_plane(item, source, position, dimensions)
            templates[lengths] = (_encode_item(item), values)
        encoded.append(_exchanged(*templates[lengths], values))
    return encoded


def with_segment_number(item: bytes, number: int) -> bytes:
    """The item of the same plane for another segment; the same where an item does not name its segment.

    Args:
        item: Encoded, of segment 1.
        number: Referenced Segment Number (0062,000B), which is the first Dimension Index Value as well.

    Returns:
        The encoded item.
    """
    place = item.find(REFERENCED_SEGMENT_NUMBER)
    if place < 0:
        return item
    changed = bytearray(item)
    struct.pack_into("<H", changed, place + len(REFERENCED_SEGMENT_NUMBER), number)
    place = item.index(DIMENSION_INDEX_VALUES)
    struct.pack_into("<L", changed, place + len(DIMENSION_INDEX_VALUES), number)
    return bytes(changed)


def _shortened(text: str) -> str:
    """A Decimal String with at most 16 characters (PS3.5 6.2); nearly all are short as they are."""
    return text if SHORT_DECIMAL.fullmatch(text) else str(DSfloat(text, auto_format=True))


def _frame_number(source: SourceSlice) -> bytes:
    """Referenced Frame Number (0008,1160)."""
    return encoded_element(0x0008, 0x1160, b"IS", str(source.frame_number).encode("ascii"), b" ")


def _describe_plane(item: Dataset, source: SourceSlice, position: list[str], dimensions: list[int]) -> None:
    """Put a slice into the item."""
    item.DerivationImageSequence[0].SourceImageSequence[0].update(image_references([source])[0])
    item.PlanePositionSequence[0].ImagePositionPatient = position
    item.FrameContentSequence[0].DimensionIndexValues = dimensions


def _encode_item(item: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    # Codes and UIDs are in the basic repertoire, whatever the character set of the file.
    write_sequence_item(buffer, item, ["iso8859"])
    return buffer.getvalue()


def _exchanged(template: bytes, old_values: list[bytes], values: list[bytes]) -> bytes:
    """A template with other values in the place of its own."""
    for old, new in zip(old_values, values, strict=True):
        assert template.count(old) == 1, "a template has each of its values once"
        template = template.replace(old, new)
    return template
