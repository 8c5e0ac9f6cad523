"""Stand-ins: source images as highdicom takes them, and references that name the true instances and frames.

A volume may lie in one multi-frame instance, whose frames have flat headers with the same SOP Instance UID
(operators/core/frames.py). highdicom takes one header an instance: it gets stand-ins with UIDs of their own, and in
the object that it made the true references are put in their place.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage

from operators.core.header import read_text, read_value
from operators.core.identity import derived_uid
from operators.core.kinds import MULTI_FRAME
from operators.write.marking import ENCODED_HERE, first_source_header, put, source_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.core.volume import SourceSlice, Volume

WHOLE_INSTANCES = ("ReferencedInstanceSequence", "ReferencedSOPSequence")
"""Lists of instances, which have no place for frames (PS3.3 C.12.2, C.17.2.1)."""


def image_references(sources: Iterable[SourceSlice], *, frames: bool = True) -> list[Dataset]:
    """Items of the Image SOP Instance Reference Macro (PS3.3 10.3), one an instance, in the order of the slices.

    Args:
        sources: The slices.
        frames: Whether Referenced Frame Number (0008,1160) is said of multi-frame images.

    Returns:
        The items.
    """
    items = []
    for (class_uid, instance_uid), of_instance in _frames_by_instance(sources).items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = class_uid, instance_uid
        if frames and of_instance:
            item.ReferencedFrameNumber = of_instance if len(of_instance) > 1 else of_instance[0]
        items.append(item)
    return items


def _has_frames(header: Dataset) -> bool:
    """Whether an image may have several frames; a header of one frame does not say how many there are."""
    return read_text(header, "SOPClassUID") in MULTI_FRAME or int(read_value(header, "NumberOfFrames") or 1) > 1


def put_references_to(dataset: Dataset, keyword: str, sources: Iterable[SourceSlice], *, frames: bool = True) -> None:
    """Put a sequence of `image_references` into a data set, encoded: hundreds of items as objects cost more than a SEG.

    Args:
        dataset: One made here, saved by `marking.save`; it reads the sequence when it is asked for it.
        keyword: The sequence.
        sources: The slices.
        frames: As above.
    """
    value = b"".join(
        _encoded_reference(class_uid, instance_uid, numbers if frames else ())
        for (class_uid, instance_uid), numbers in _frames_by_instance(sources).items()
    )
    tag = Tag(keyword)
    dataset[tag] = RawDataElement(tag, "SQ", len(value), value, ENCODED_HERE, False, True)


def _encoded_reference(class_uid: str, instance_uid: str, numbers: Sequence[int]) -> bytes:
    """An item with its tag and length (PS3.5 7.5)."""
    content = encoded_element(0x0008, 0x1150, b"UI", class_uid.encode("ascii"), b"\0")
    content += encoded_element(0x0008, 0x1155, b"UI", instance_uid.encode("ascii"), b"\0")
    if numbers:
        content += encoded_element(0x0008, 0x1160, b"IS", "\\".join(map(str, numbers)).encode("ascii"), b" ")
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def encoded_element(group: int, element: int, vr: bytes, value: bytes, padding: bytes) -> bytes:
    """An element with a length of 16 bits (PS3.5 7.1.2), its value padded to an even length (6.2)."""
    value += padding * (len(value) % 2)
    return struct.pack("<HH2sH", group, element, vr, len(value)) + value


def _frames_by_instance(sources: Iterable[SourceSlice]) -> dict[tuple[str, str], list[int]]:
    """Frame Numbers by SOP Class and SOP Instance UID; none of an image that is one frame."""
    numbers: dict[tuple[str, str], list[int]] = {}
    for source in sources:
        key = read_text(source.header, "SOPClassUID"), read_text(source.header, "SOPInstanceUID")
        of_instance = numbers.setdefault(key, [])
        if _has_frames(source.header):
            of_instance.append(source.frame_number)
    return numbers


def stand_ins(volume: Volume) -> list[Dataset]:
    """`source_headers` of a volume in which each slice is an instance of its own, of a single-frame class."""
    return [_stand_in(header, uid) for header, uid in zip(source_headers(volume), _uids(volume), strict=True)]


def first_stand_in(volume: Volume) -> Dataset:
    """The first of `stand_ins`."""
    return _stand_in(first_source_header(volume), _uids(volume)[0])


def _stand_in(header: Dataset, uid: str) -> Dataset:
    if header.SOPClassUID in MULTI_FRAME:
        put(header, "SOPClassUID", CTImageStorage)
    put(header, "SOPInstanceUID", uid)
    return header


def put_references(dataset: Dataset, volume: Volume) -> None:
    """Replace all references to stand-ins of a volume by those to its instances and frames, at any depth."""
    sources = dict(zip(_uids(volume), volume.slices, strict=True))
    if any(str(s.header.SOPInstanceUID) != uid or s.header.SOPClassUID in MULTI_FRAME for uid, s in sources.items()):
        _put_below(dataset, sources)


def _put_below(dataset: Dataset, sources: Mapping[str, SourceSlice]) -> None:
    for element in dataset:
        if element.VR == "SQ":
            element.value = _merged(element.value, sources, frames=element.keyword not in WHOLE_INSTANCES)
            for item in element.value:
                _put_below(item, sources)


def _merged(items: Iterable[Dataset], sources: Mapping[str, SourceSlice], *, frames: bool) -> list[Dataset]:
    """The items with true references; of several to one instance the first stays, with the frames of all."""
    kept: list[Dataset] = []
    meant: dict[str, list[SourceSlice]] = {}
    first: dict[str, Dataset] = {}
    for item in items:
        source = sources.get(str(item.get("ReferencedSOPInstanceUID", "")))
        uid = str(source.header.SOPInstanceUID) if source else ""
        if source is None or uid not in first:
            kept.append(item)
        if source is not None:
            meant.setdefault(uid, []).append(source)
            first.setdefault(uid, item)
    for uid, item in first.items():
        (reference,) = image_references(meant[uid], frames=frames)
        item.update(reference)
    return kept


def _uids(volume: Volume) -> list[str]:
    """The slices' own SOP Instance UIDs where each slice has one, else derived ones."""
    own = [read_text(source.header, "SOPInstanceUID") for source in volume.slices]
    if len(set(own)) == len(own):
        return own
    return [derived_uid(f"stand-in/{uid}/{index}") for index, uid in enumerate(own)]
