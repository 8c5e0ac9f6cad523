"""Frame table: what the functional groups of a multi-frame object say of each frame (PS3.3 C.7.6.16.2).

Thousands of frames differ in few values. Items of one form lie alike: what is no value is the same bytes at the same
places. So each form is walked once, and items of a known form give their values by place.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from operators.core.header_walk import IMPLICIT
from operators.core.items import Encoded, Item, PlainObject, encoded_items, walk_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

FORMS_KEPT = 8
"""Forms of one length that are tried before an item is walked: they differ in the lengths of positions and UIDs."""


class SourceFrame(NamedTuple):
    """An image, or one of its frames, that a frame was made from.

    Attributes:
        uid: SOP Instance UID.
        frame: Its first Referenced Frame Number; 0 where none is named.
    """

    uid: str
    frame: int


class FrameValues(NamedTuple):
    """What one frame says, as it is encoded; empty where it does not say it.

    Attributes:
        segment: Referenced Segment Number (0062,000B).
        position: Image Position (Patient) (0020,0032).
        orientation: Image Orientation (Patient) (0020,0037).
        spacing: Pixel Spacing (0028,0030).
        between: Spacing Between Slices (0018,0088).
        sources: UID and frame number of each source image by turns.
    """

    segment: bytes
    position: bytes
    orientation: bytes
    spacing: bytes
    between: bytes
    sources: tuple[bytes, ...]


@dataclass(frozen=True, eq=False)
class FrameTable:
    """All frames of an object.

    Attributes:
        segments: `(frames,)`, Referenced Segment Number (0062,000B), 0 where there is none.
        positions: `(frames, 3)`, Image Position (Patient) (0020,0032), mm in LPS; NaN where there is none.
        orientations: `(frames, 6)`, Image Orientation (Patient) (0020,0037).
        spacings: `(frames, 2)`, Pixel Spacing (0028,0030), mm.
        between: `(frames, 1)`, Spacing Between Slices (0018,0088), mm.
        sources: Images that each frame was made from.
    """

    segments: NDArray[np.int64]
    positions: NDArray[np.float64]
    orientations: NDArray[np.float64]
    spacings: NDArray[np.float64]
    between: NDArray[np.float64]
    sources: tuple[tuple[SourceFrame, ...], ...]

    def __len__(self) -> int:
        return len(self.segments)


def read_frames(dataset: Dataset) -> FrameTable:
    """Read the frames of an object.

    Args:
        dataset: SEG, Parametric Map or enhanced image.

    Returns:
        The table; it is empty where the object describes no frames. Bytes that are no items raise ValueError or
        struct.error.
    """
    shared_items = PlainObject(dataset).items("SharedFunctionalGroupsSequence")
    shared = _values_of(shared_items[0]) if shared_items else FrameValues(b"", b"", b"", b"", b"", ())
    frames = list(_read_items(encoded_items(dataset, "PerFrameFunctionalGroupsSequence")))
    return FrameTable(
        np.array([int.from_bytes(f.segment or shared.segment, "little") for f in frames], dtype=np.int64),
        _table([f.position or shared.position for f in frames], 3),
        _table([f.orientation or shared.orientation for f in frames], 6),
        _table([f.spacing or shared.spacing for f in frames], 2),
        _table([f.between or shared.between for f in frames], 1),
        tuple(_sources(f.sources or shared.sources) for f in frames),
    )


@dataclass(frozen=True)
class _Form:
    """Where items of one form have what.

    Attributes:
        size: Bytes of an item.
        fixed: Takes from an item all that is no value.
        skeleton: What it takes from an item of this form.
        wanted: Takes the values from an item, in the order of FrameValues.
    """

    size: int
    fixed: Callable[[bytes], tuple[bytes, ...]]
    skeleton: tuple[bytes, ...]
    wanted: Callable[[bytes], tuple[bytes, ...]]


NOTHING = slice(0, 0)


def _read_items(encoded: Encoded) -> Iterator[FrameValues]:
    forms: dict[int, list[_Form]] = {}
    data, at = encoded.data, 0
    while at < len(data):
        known = forms.setdefault(IMPLICIT(data, at)[2], [])
        for form in known:
            item = data[at : at + form.size]
            if form.fixed(item) == form.skeleton:
                break
        else:
            form = _form_of(encoded, at)
            item = data[at : at + form.size]
            known.insert(0, form)
            del known[FORMS_KEPT:]
        yield _values(form.wanted(item))
        at += form.size


def _form_of(encoded: Encoded, at: int) -> _Form:
    item, end = walk_item(encoded, at)
    fixed, last = [NOTHING], at
    for place in sorted(_places(item), key=lambda place: place.start):
        fixed.append(slice(last - at, place.start - at))
        last = place.stop
    fixed.append(slice(last - at, end - at))
    take = itemgetter(*fixed)
    wanted = [NOTHING if place is None else slice(place.start - at, place.stop - at) for place in _wanted(item)]
    return _Form(end - at, take, take(encoded.data[at:end]), itemgetter(*wanted))


def _places(item: Item) -> Iterator[slice]:
    """Places of all values of an item."""
    for place in item.places.values():
        if isinstance(place, slice):
            yield place
        else:
            for below in place:
                yield from _places(below)


def _wanted(item: Item) -> Iterator[slice | None]:
    """Where an item of functional groups has what the table needs."""
    measures = item.first("PixelMeasuresSequence")
    yield item.first("SegmentIdentificationSequence").place("ReferencedSegmentNumber")
    yield item.first("PlanePositionSequence").place("ImagePositionPatient")
    yield item.first("PlaneOrientationSequence").place("ImageOrientationPatient")
    yield measures.place("PixelSpacing")
    yield measures.place("SpacingBetweenSlices")
    for derivation in item.items("DerivationImageSequence"):
        for source in derivation.items("SourceImageSequence"):
            yield source.place("ReferencedSOPInstanceUID")
            yield source.place("ReferencedFrameNumber")


def _values(found: tuple[bytes, ...]) -> FrameValues:
    segment, position, orientation, spacing, between, *_ = found
    return FrameValues(segment, position, orientation, spacing, between, found[5:])


def _values_of(item: Item) -> FrameValues:
    return _values(tuple(b"" if place is None else item.data[place] for place in _wanted(item)))


def _table(values: Sequence[bytes], count: int) -> NDArray[np.float64]:
    """`(values, count)` numbers of Decimal Strings."""
    return np.array([decimals(value, count) for value in values], dtype=np.float64).reshape(len(values), count)


@functools.lru_cache(maxsize=4096)
def decimals(value: bytes, count: int) -> tuple[float, ...]:
    """Numbers of an encoded Decimal String (PS3.5 6.2); NaN where they are not as many, or one is none."""
    parts = value.rstrip(b" \0").split(b"\\")
    try:
        # Python takes 1_0 for 10.
        numbers = tuple(float(part) for part in parts) if b"_" not in value else ()
    except ValueError:
        numbers = ()
    return numbers if len(numbers) == count else (float("nan"),) * count


@functools.lru_cache(maxsize=4096)
def _sources(values: tuple[bytes, ...]) -> tuple[SourceFrame, ...]:
    return tuple(
        SourceFrame(uid.decode("iso8859").strip(" \0"), _first_number(frame))
        for uid, frame in zip(values[::2], values[1::2], strict=True)
    )


def _first_number(value: bytes) -> int:
    """The first of an encoded Integer String; 0 where there is none."""
    first = value.split(b"\\")[0].strip(b" \0")
    return int(first) if first.isdigit() else 0
