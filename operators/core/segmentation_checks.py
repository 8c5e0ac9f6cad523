"""Segmentation checks: segments, frames and references of a SEG agree, and it lies in its place."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pydicom.tag import Tag

from operators.core.frame_geometry import frame_problems
from operators.core.frame_table import read_frames
from operators.core.header import attribute, read_text, read_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from operators.core.frame_table import FrameTable
    from operators.core.items import Item, PlainObject
    from operators.core.source_planes import SourcePlanes

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
SEGMENTATIONS = frozenset({SEGMENTATION, LABEL_MAP})
"""Segmentation and Label Map Segmentation Storage."""
PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.30"
TYPES = {SEGMENTATION: ("BINARY", "FRACTIONAL"), LABEL_MAP: ("LABELMAP",)}
"""Segmentation Type (0062,0001) of each class (PS3.3 A.51, A.95)."""
SEGMENT_TYPE_1 = ("SegmentLabel", "SegmentAlgorithmType")
SEGMENT_CODES = ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence")
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def segmentation_problems(plain: PlainObject, source: SourcePlanes | None) -> Iterator[str]:
    """What is wrong with a SEG.

    Args:
        plain: The object.
        source: The images that it was made from.

    Yields:
        Sentences.
    """
    dataset = plain.dataset
    kind = read_text(dataset, "SegmentationType")
    types = TYPES[str(dataset.SOPClassUID)]
    if kind not in types:
        yield f"SegmentationType (0062,0001) is none that its SOP Class has: {', '.join(types)} (PS3.3 C.8.20.2)"
    segments = plain.items("SegmentSequence")
    numbers = [segment.number("SegmentNumber") for segment in segments]
    yield from _segment_problems(segments, numbers, kind)
    table = read_frames(dataset)
    yield from _use_problems(table, set(numbers))
    yield from _repeated(table)
    yield from multi_frame_problems(plain, table, source)
    if not read_text(dataset, "FrameOfReferenceUID"):
        yield "FrameOfReferenceUID is absent: nothing says where the segments lie"


def multi_frame_problems(plain: PlainObject, table: FrameTable, source: SourcePlanes | None) -> Iterator[str]:
    """What is wrong with frames, their pixels, places and sources: of SEG and Parametric Map."""
    dataset = plain.dataset
    count = int(read_value(dataset, "NumberOfFrames") or 0)
    if len(table) != count:
        yield f"NumberOfFrames is {count}, but {len(table)} frames are described"
    yield from _unlisted(table, listed_instances(plain))
    yield from length_problems(dataset, len(table))
    if not _is_slide(plain):
        matrix = int(read_value(dataset, "Rows") or 0), int(read_value(dataset, "Columns") or 0)
        yield from frame_problems(table, matrix, source)


def listed_instances(plain: PlainObject) -> set[str]:
    """SOP Instance UIDs of Referenced Series Sequence (PS3.3 C.12.2)."""
    return {
        instance.text("ReferencedSOPInstanceUID")
        for series in plain.items("ReferencedSeriesSequence")
        for instance in series.items("ReferencedInstanceSequence")
    }


def _segment_problems(segments: list[Item], numbers: list[int], kind: str) -> Iterator[str]:
    """Segment Sequence (PS3.3 C.8.20.4)."""
    if not segments:
        yield "SegmentSequence is absent or empty"
    if kind != "LABELMAP" and numbers != list(range(1, len(numbers) + 1)):
        yield f"Segment Numbers are {numbers}, not 1 to {len(numbers)} (PS3.3 C.8.20.2)"
    elif len(set(numbers)) != len(numbers):
        yield f"Segment Numbers {sorted(n for n, c in Counter(numbers).items() if c > 1)} are there twice"
    for number, segment in zip(numbers, segments, strict=True):
        lacking = [keyword for keyword in SEGMENT_TYPE_1 if not segment.text(keyword)]
        lacking += [keyword for keyword in SEGMENT_CODES if not is_code(segment.first(keyword))]
        if segment.text("SegmentAlgorithmType") in {"AUTOMATIC", "SEMIAUTOMATIC"}:
            lacking += [k for k in ("SegmentAlgorithmName",) if not segment.text(k)]
        yield from (f"segment {number} has no {attribute(keyword)}" for keyword in lacking)
        if bool(segment.text("TrackingID")) != bool(segment.text("TrackingUID")):
            yield f"segment {number} has one of TrackingID and TrackingUID without the other (PS3.3 C.8.20.2)"


def is_code(item: Item) -> bool:
    """Whether an item is a code triplet (PS3.3 8.1-8.3)."""
    value = item.text("CodeValue") or item.text("LongCodeValue") or item.text("URNCodeValue")
    scheme = item.text("CodingSchemeDesignator") or item.text("URNCodeValue")
    return bool(value and scheme and item.text("CodeMeaning"))


def _use_problems(table: FrameTable, numbers: set[int]) -> Iterator[str]:
    """Frames name segments that are described, and each segment has a frame."""
    used = set(table.segments.tolist()) - {0}
    if used - numbers:
        yield f"frames refer to the segments {sorted(used - numbers)}, which are not described"
    if used and numbers - used:
        yield f"the segments {sorted(numbers - used)} are described, but have no frame"


def _repeated(table: FrameTable) -> Iterator[str]:
    """A segment has one frame at a place; of two, viewers show one."""
    seen: dict[tuple[object, ...], int] = {}
    rows = zip(table.segments.tolist(), table.positions.tolist(), table.sources, strict=True)
    for index, (segment, position, sources) in enumerate(rows, start=1):
        first = seen.setdefault((segment, *position, sources), index)
        if first != index:
            yield f"the frames {first} and {index} show the same segment in the same place"
            return


def _unlisted(table: FrameTable, listed: set[str]) -> Iterator[str]:
    for sources in dict.fromkeys(table.sources):
        if any(source.uid not in listed for source in sources):
            frame = table.sources.index(sources) + 1
            yield f"frame {frame} refers to an instance that ReferencedSeriesSequence does not list"


def length_problems(dataset: Dataset, frames: int) -> Iterator[str]:
    """Native frames are packed without gaps (PS3.5 8.1.1), padded to an even length."""
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    for keyword in PIXEL_KEYWORDS:
        if keyword not in dataset:
            continue
        bits = {"PixelData": int(read_value(dataset, "BitsAllocated") or 0), "FloatPixelData": 32}.get(keyword, 64)
        samples = int(read_value(dataset, "SamplesPerPixel") or 1)
        if read_text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
            samples = 2  # of two pixels the colour stands once
        pixels = int(read_value(dataset, "Rows") or 0) * int(read_value(dataset, "Columns") or 0) * samples
        length = (frames * pixels * bits + 7) // 8
        length += length % 2
        found = value_length(dataset, keyword)
        if found != length:
            yield f"{keyword} has {found} bytes, {frames} frames need {length}"


def value_length(dataset: Dataset, keyword: str) -> int:
    """Bytes of a value, without reading one that is still in its file."""
    element = dataset.get_item(Tag(keyword), keep_deferred=True)
    length = getattr(element, "length", None)
    if length is not None:
        return int(length)
    value = element.value if element is not None else None
    return len(value or b"")


def _is_slide(plain: PlainObject) -> bool:
    """Whether frames lie on a slide (PS3.3 C.8.12.6), whose coordinates nobody here judges."""
    return read_value(plain.dataset, "TotalPixelMatrixRows") is not None
