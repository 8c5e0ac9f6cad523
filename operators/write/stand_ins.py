"""Stand-ins: source images as highdicom takes them, and references that name the true instances and frames.

A volume may lie in one multi-frame instance, whose frames have flat headers with the same SOP Instance UID
(operators/core/frames.py). highdicom takes one header an instance: it gets stand-ins with UIDs of their own, and in
the object that it made the true references are put in their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.uid import CTImageStorage

from operators.core.identity import derived_uid
from operators.core.kinds import MULTI_FRAME
from operators.write.marking import put, source_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    by_instance: dict[str, list[SourceSlice]] = {}
    for source in sources:
        by_instance.setdefault(str(source.header.SOPInstanceUID), []).append(source)
    items = []
    for uid, (first, *others) in by_instance.items():
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = first.header.SOPClassUID, uid
        if frames and _has_frames(first.header):
            numbers = [source.frame_number for source in (first, *others)]
            item.ReferencedFrameNumber = numbers if others else numbers[0]
        items.append(item)
    return items


def _has_frames(header: Dataset) -> bool:
    """Whether an image may have several frames; a header of one frame does not say how many there are."""
    return header.SOPClassUID in MULTI_FRAME or int(header.get("NumberOfFrames") or 1) > 1


def stand_ins(volume: Volume) -> list[Dataset]:
    """`source_headers` of a volume in which each slice is an instance of its own, of a single-frame class."""
    headers = source_headers(volume)
    for header, uid, source in zip(headers, _uids(volume), volume.slices, strict=True):
        put(header, "SOPInstanceUID", uid)
        if source.header.SOPClassUID in MULTI_FRAME:
            put(header, "SOPClassUID", CTImageStorage)
    return headers


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
    own = [str(source.header.SOPInstanceUID) for source in volume.slices]
    if len(set(own)) == len(own):
        return own
    return [derived_uid(f"stand-in/{uid}/{index}") for index, uid in enumerate(own)]
